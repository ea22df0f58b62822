{{- define "ott.portsOf" -}}
{{- range . }}
- {port: {{ . }}, protocol: TCP}
{{- end }}
{{- end -}}

{{- /* The ports of the store, each once; the usual one where a server names none. */ -}}
{{- define "ott.storePorts" -}}
{{- $usual := get (dict "sentinel" "26379" "postgresql" "5432") .Values.store.type | default "6379" -}}
{{- $ports := list -}}
{{- range .Values.store.servers }}
{{- $ports = append $ports (regexFind ":[0-9]{1,5}$" (include "ott.tpl" (dict "root" $ "name" .)) | trimPrefix ":" | default $usual | int) -}}
{{- end -}}
{{- if eq .Values.store.type "sentinel" }}{{ $ports = append $ports 6379 }}{{ end -}}
{{- toYaml (uniq $ports) -}}
{{- end -}}

{{- define "ott.egressRules" -}}
{{- $egress := .Values.networkPolicy.egress }}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  {{- with $egress.dns }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- if ne .Values.store.type "memory" }}
- ports: {{- include "ott.portsOf" (include "ott.storePorts" . | fromYamlArray) | trim | nindent 4 }}
  {{- with $egress.store }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- range list $egress.issuers $egress.otlp }}
{{- if .ports }}
- ports: {{- include "ott.portsOf" .ports | trim | nindent 4 }}
  {{- with .to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- if .Values.issuer.enabled }}
- ports: {{- include "ott.portsOf" (list 9003) | trim | nindent 4 }}
  to:
    - podSelector:
        matchLabels: {{- include "ott.selectorLabels" (dict "root" $ "component" "issuer") | nindent 10 }}
{{- end }}
{{- with $egress.extra }}
{{ toYaml . }}
{{- end }}
{{- end -}}
