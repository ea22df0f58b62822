{{- /* Which files a Check server gets.  Secrets are 0440: the service refuses one that everybody may read. */ -}}

{{- /* A source of a projected volume: (dict "root" $ "from" {secret|configMap, key} "path" …). */ -}}
{{- define "ott.source" -}}
{{- $kind := ternary "secret" "configMap" (not (empty .from.secret)) -}}
- {{ $kind }}:
    name: {{ include "ott.tpl" (dict "root" .root "name" (default .from.configMap .from.secret)) | quote }}
    items: [{key: {{ .from.key | quote }}, path: {{ .path | quote }}}]
{{- end -}}

{{- /* The Secret of the Check server's certificate: named, or cert-manager's work. */ -}}
{{- define "ott.tlsSecret" -}}
{{- default (include "ott.suffixed" (dict "root" . "suffix" "tls")) (include "ott.tpl" (dict "root" . "name" .Values.tls.existingSecret)) -}}
{{- end -}}

{{- define "ott.tlsSources" -}}
{{- $secret := .own -}}
{{- if .tls.existingSecret }}{{ $secret = include "ott.tpl" (dict "root" .root "name" .tls.existingSecret) }}{{ end -}}
{{- $clientCa := .tls.clientCa -}}
- secret:
    name: {{ $secret | quote }}
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
      {{- if and .tls.clientAuth (not (or $clientCa.secret $clientCa.configMap)) }}
      - {key: ca.crt, path: client-ca.crt}
      {{- end }}
{{- if and .tls.clientAuth (or $clientCa.secret $clientCa.configMap) }}
{{ include "ott.source" (dict "root" .root "from" $clientCa "path" "client-ca.crt") }}
{{- end }}
{{- end -}}

{{- define "ott.storeSources" -}}
{{- $store := .Values.store -}}
{{- if $store.password.value }}
{{ include "ott.source" (dict "root" $ "from" (dict "secret" (include "ott.suffixed" (dict "root" $ "suffix" "store")) "key" "password") "path" "password") }}
{{- else if $store.password.existingSecret }}
{{ include "ott.source" (dict "root" $ "from" (dict "secret" $store.password.existingSecret "key" $store.password.key) "path" "password") }}
{{- end }}
{{- with $store.sentinelPassword }}{{ if .existingSecret }}
{{ include "ott.source" (dict "root" $ "from" (dict "secret" .existingSecret "key" .key) "path" "sentinel-password") }}
{{- end }}{{ end }}
{{- with $store.tls.ca }}{{ if or .secret .configMap }}
{{ include "ott.source" (dict "root" $ "from" . "path" "ca.crt") }}
{{- end }}{{ end }}
{{- range $key := list "tls.crt" "tls.key" }}{{ if $store.tls.clientSecret }}
{{ include "ott.source" (dict "root" $ "from" (dict "secret" $store.tls.clientSecret "key" $key) "path" $key) }}
{{- end }}{{ end }}
{{- end -}}

{{- define "ott.trustSources" -}}
{{- range $index, $entry := .Values.trust }}
{{- with $entry.jwks }}{{ if kindIs "map" . }}
{{- $from := . }}
{{- if hasKey . "inline" }}{{ $from = dict "configMap" (include "ott.suffixed" (dict "root" $ "suffix" "trust")) "key" (printf "%d.json" $index) }}{{ end }}
{{ include "ott.source" (dict "root" $ "from" (merge dict $from (dict "key" "jwks.json")) "path" (printf "%d/jwks.json" $index)) }}
{{- end }}{{ end }}
{{- with $entry.ca }}{{ if kindIs "map" . }}
{{ include "ott.source" (dict "root" $ "from" (merge dict . (dict "key" "ca.crt")) "path" (printf "%d/ca.crt" $index)) }}
{{- end }}{{ end }}
{{- end }}
{{- $issuer := .Values.issuer }}
{{- if and $issuer.enabled $issuer.trusted.enabled }}
{{- if eq (include "ott.issuerKeysBy" .) "secret" }}
{{ include "ott.source" (dict "root" $ "from" (dict "secret" $issuer.keys.existingSecret "key" "jwks.json") "path" "issuer/jwks.json") }}
{{- else }}
{{ include "ott.source" (dict "root" $ "from" (dict "secret" (include "ott.issuerTlsSecret" .) "key" "ca.crt") "path" "issuer/ca.crt") }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "ott.issuerTlsSecret" -}}
{{- if .Values.issuer.tls.existingSecret -}}
{{- include "ott.tpl" (dict "root" . "name" .Values.issuer.tls.existingSecret) -}}
{{- else -}}
{{- include "ott.suffixed" (dict "root" . "suffix" "issuer-tls") -}}
{{- end -}}
{{- end -}}

{{- /* One volume and where it is mounted, as JSON: (dict "name" "path" "volume" YAML, "more" dict). */ -}}
{{- define "ott.projected" -}}
{{- if trim .sources }}
- name: {{ .name }}
  path: {{ .path }}
  volume:
    projected:
      defaultMode: 0440
      sources: {{- trim .sources | nindent 8 }}
{{- end }}
{{- end -}}

{{- /* Whether a server gets a Secret: (dict "root" $ "component" "check" "name" … "entry" …). The issuer's are none of the
       Check server's business, nor the other way round. */ -}}
{{- define "ott.getsSecret" -}}
{{- $folder := printf "/ott/secrets/%s/" .name -}}
{{- $atIssuer := false -}}
{{- if .root.Values.issuer.enabled -}}
{{- $atIssuer = contains $folder (printf "%s %s" (include "ott.issuerConfig" .root) (toJson .root.Values.issuer.clients)) -}}
{{- end -}}
{{- $atCheck := or (contains $folder (include "ott.config" .root)) (not $atIssuer) -}}
{{- if .entry.for -}}
{{- if has .component .entry.for }}true{{ end -}}
{{- else if ternary $atCheck $atIssuer (eq .component "check") -}}true
{{- end -}}
{{- end -}}

{{- /* (dict "root" $ "component" "check"). */ -}}
{{- define "ott.secretFiles" -}}
{{- $all := . -}}
{{- range $name, $entry := .root.Values.secrets }}
{{- if include "ott.getsSecret" (merge (dict "name" $name "entry" $entry) $all) }}
- name: ott-secret-{{ $name }}
  path: /ott/secrets/{{ $name }}
  volume:
    secret:
      defaultMode: 0440
      {{- if $entry.existingSecret }}
      secretName: {{ include "ott.tpl" (dict "root" $all.root "name" $entry.existingSecret) | quote }}
      {{- else }}
      secretName: {{ include "ott.suffixed" (dict "root" $all.root "suffix" $name) }}
      {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "ott.auditFiles" -}}
{{- if and .Values.audit.enabled (ne .Values.audit.volume "stdout") }}
- name: ott-audit
  path: /var/lib/ott/audit
  writable: true
  {{- if eq .Values.audit.volume "emptyDir" }}
  volume:
    emptyDir:
      sizeLimit: {{ .Values.audit.sizeLimit | quote }}
  {{- else }}
  subPathExpr: $(POD_NAME)
  volume:
    persistentVolumeClaim:
      {{- if eq .Values.audit.volume "existingClaim" }}
      claimName: {{ include "ott.tpl" (dict "root" $ "name" .Values.audit.existingClaim) | quote }}
      {{- else }}
      claimName: {{ include "ott.suffixed" (dict "root" $ "suffix" "audit") }}
      {{- end }}
  {{- end }}
{{- end }}
- name: ott-tmp
  path: /tmp
  writable: true
  volume:
    emptyDir:
      sizeLimit: {{ .Values.tmpSizeLimit | quote }}
{{- end -}}

{{- /* A ConfigMap as a folder: (dict "name" "path" "configMap"). */ -}}
{{- define "ott.folder" -}}
- name: {{ .name }}
  path: {{ .path }}
  volume:
    configMap:
      name: {{ .configMap | quote }}
{{- end -}}

{{- define "ott.policyMap" -}}
{{- if .policy.existingConfigMap -}}
{{- include "ott.tpl" (dict "root" .root "name" .policy.existingConfigMap) -}}
{{- else -}}
{{- include "ott.suffixed" (dict "root" .root "suffix" .suffix) -}}
{{- end -}}
{{- end -}}

{{- /* Everything that a Check server mounts: a list of {name, path, volume, writable?, subPathExpr?}. */ -}}
{{- define "ott.checkFiles" -}}
{{ include "ott.folder" (dict "name" "ott-config" "path" "/etc/ott" "configMap" (include "ott.fullname" .)) }}
{{ include "ott.folder" (dict "name" "ott-policy" "path" "/ott/policy" "configMap" (include "ott.policyMap" (dict "root" $ "policy" .Values.policy "suffix" "policy"))) }}
{{- if include "ott.hasPolicy" .Values.shadowPolicy }}
{{ include "ott.folder" (dict "name" "ott-shadow-policy" "path" "/ott/shadow-policy" "configMap" (include "ott.policyMap" (dict "root" $ "policy" .Values.shadowPolicy "suffix" "shadow-policy"))) }}
{{- end }}
{{- include "ott.projected" (dict "name" "ott-trust" "path" "/ott/trust" "sources" (include "ott.trustSources" .)) }}
{{- include "ott.projected" (dict "name" "ott-store" "path" "/ott/store" "sources" (include "ott.storeSources" .)) }}
{{- if .Values.tls.enabled }}
{{- include "ott.projected" (dict "name" "ott-tls" "path" "/ott/tls" "sources" (include "ott.tlsSources" (dict "root" $ "tls" .Values.tls "own" (include "ott.suffixed" (dict "root" $ "suffix" "tls"))))) }}
{{- end }}
{{- include "ott.secretFiles" (dict "root" $ "component" "check") }}
{{- include "ott.auditFiles" . }}
{{- if eq .Values.kind "Sidecar" }}
- name: ott-socket
  path: /run/ott
  writable: true
  volume:
    emptyDir: {}
{{- end }}
{{- end -}}

{{- define "ott.volumes" -}}
{{- range . }}
- name: {{ .name }}
  {{- toYaml .volume | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ott.mounts" -}}
{{- range . }}
- name: {{ .name }}
  mountPath: {{ .path }}
  {{- with .subPathExpr }}
  subPathExpr: {{ . }}
  {{- end }}
  {{- if not .writable }}
  readOnly: true
  {{- end }}
{{- end }}
{{- end -}}
