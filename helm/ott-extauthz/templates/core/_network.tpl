{{- /* Which IP families a Service has, where that is said. */ -}}
{{- define "ott.ipFamilies" -}}
{{- with .Values.service.ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.service.ipFamilies }}
  ipFamilies: {{ toJson . }}
{{- end }}
{{- end -}}

{{- define "ott.portsOf" -}}
{{- range . }}
- {port: {{ int . }}, protocol: TCP}
{{- end }}
{{- end -}}

{{- /* The port of Istio's tunnels, by which calls between workloads of an ambient mesh leave one pod and reach another: a
       NetworkPolicy sees it instead of theirs. A YAML list, empty elsewhere. */ -}}
{{- define "ott.tunnelPorts" -}}
{{- if and .Values.istio.enabled .Values.istio.ambient -}}[15008]{{- else -}}[]{{- end -}}
{{- end -}}

{{- /* The ports of an ingress rule: (dict "root" $ "ports" (list "admin")). */ -}}
{{- define "ott.doors" -}}
{{- range concat .ports (include "ott.tunnelPorts" .root | fromYamlArray) }}
- {port: {{ kindIs "string" . | ternary . (int .) }}, protocol: TCP}
{{- end }}
{{- end -}}

{{- /* The kubelet's probes in an ambient mesh, which come from an address of Istio's choice: (dict "root" $ "ports" …). */ -}}
{{- define "ott.probeDoors" -}}
{{- if and .root.Values.istio.enabled .root.Values.istio.ambient }}
- from: [{ipBlock: {cidr: 169.254.7.127/32}}, {ipBlock: {cidr: "fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128"}}]
  ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
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

{{- /* The ports that addresses in these settings name, besides those listed: (dict "settings" … "ports" …). */ -}}
{{- define "ott.namedPorts" -}}
{{- $ports := list -}}
{{- range .ports }}{{ $ports = append $ports (int .) }}{{ end -}}
{{- range regexFindAll "https?://([^/?#@\\s\"',:\\[\\]]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}" (toJson .settings) -1 -}}
{{- $ports = append $ports (regexFind "[0-9]+$" . | int) -}}
{{- end -}}
{{- toYaml (uniq $ports) -}}
{{- end -}}

{{- /* Whom a server asks over https, and where its traces go, as ports by destination: (dict "root" $ "component" …). */ -}}
{{- define "ott.egressPorts" -}}
{{- $values := .root.Values -}}
{{- $egress := $values.networkPolicy.egress -}}
{{- $asked := list -}}
{{- if $egress.issuers.ports -}}
{{- $asked = list $values.trust (default list $values.config.introspection) -}}
{{- if eq .component "issuer" }}{{ $asked = list (default list $values.issuer.config.subject_issuers) $values.issuer.keys.vault $values.issuer.keys.awsKms }}{{ end -}}
{{- end -}}
issuers: {{ include "ott.namedPorts" (dict "settings" $asked "ports" $egress.issuers.ports) | nindent 2 }}
otlp: {{ include "ott.namedPorts" (dict "settings" (ternary dict (default dict $values.config.tracing) (not (empty $egress.otlp.ports))) "ports" $egress.otlp.ports) | nindent 2 }}
{{- end -}}

{{- define "ott.dnsRule" -}}
{{- with .Values.networkPolicy.egress.dns -}}
- ports:
    {{- range .ports }}
    - {port: {{ int . }}, protocol: UDP}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
  {{- with .to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- /* (dict "root" $ "component" "check"). */ -}}
{{- define "ott.egressRules" -}}
{{- $all := . -}}
{{- with .root -}}
{{- $egress := .Values.networkPolicy.egress }}
{{- $ports := include "ott.egressPorts" $all | fromYaml }}
{{- $tunnel := include "ott.tunnelPorts" . | fromYamlArray }}
{{ include "ott.dnsRule" . }}
{{- if ne .Values.store.type "memory" }}
- ports: {{- include "ott.portsOf" (concat (include "ott.storePorts" . | fromYamlArray) $tunnel) | trim | nindent 4 }}
  {{- with $egress.store }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- range $to := list "issuers" "otlp" }}
{{- with get $ports $to }}
- ports: {{- include "ott.portsOf" (concat . $tunnel) | trim | nindent 4 }}
  {{- with (get $egress $to).to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- if and .Values.issuer.enabled (eq $all.component "check") }}
- ports: {{- include "ott.portsOf" (concat (list 9003) $tunnel) | trim | nindent 4 }}
  to:
    - podSelector:
        matchLabels: {{- include "ott.selectorLabels" (dict "root" $all.root "component" "issuer") | nindent 10 }}
{{- end }}
{{- if and .Values.istio.enabled .Values.istio.mutualTls (not .Values.istio.ambient) }}
# Its sidecar gets certificates and configuration there, and never starts without.
- ports: [{port: 15012, protocol: TCP}]
  to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Values.istio.rootNamespace | quote }}}}}]
{{- end }}
{{- with $egress.extra }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}
