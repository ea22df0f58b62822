{{- /* ott.yaml: what the chart knows, and over it what stands in `config`. */ -}}

{{- define "ott.storeUrl" -}}
{{- $store := .Values.store -}}
{{- $servers := list -}}
{{- range $store.servers }}{{ $servers = append $servers (include "ott.tpl" (dict "root" $ "name" .)) }}{{ end -}}
{{- $user := "" -}}
{{- if $store.user }}{{ $user = printf "%s@" ($store.user | urlquery | replace "+" "%20") }}{{ end -}}
{{- $where := printf "%s%s" $user (join "," $servers) -}}
{{- $redis := ternary "rediss" "redis" $store.tls.enabled -}}
{{- $database := int $store.database -}}
{{- if eq $store.type "memory" -}}
memory://
{{- else if eq $store.type "postgresql" -}}
postgresql://{{ $where }}/{{ $store.name }}
{{- else if eq $store.type "sentinel" -}}
{{ $redis }}+sentinel://{{ $where }}/{{ $store.name }}{{ if $database }}/{{ $database }}{{ end }}
{{- else if eq $store.type "cluster" -}}
{{ $redis }}+cluster://{{ $where }}
{{- else if eq $store.type "quorum" -}}
{{ $redis }}+quorum://{{ $where }}{{ if $database }}/{{ $database }}{{ end }}
{{- else -}}
{{ $redis }}://{{ $where }}{{ if $database }}/{{ $database }}{{ end }}
{{- end -}}
{{- end -}}

{{- /* The same without what may change while pods are replaced one by one: the user, and whether it is TLS. */ -}}
{{- define "ott.storePlace" -}}
{{- regexReplaceAll "^rediss" (regexReplaceAll "//[^@/]*@" (include "ott.storeUrl" .) "//") "redis" -}}
{{- end -}}

{{- define "ott.store" -}}
{{- $store := .Values.store -}}
url: {{ include "ott.storeUrl" . | quote }}
{{- if or $store.password.existingSecret $store.password.value }}
password_file: /ott/store/password
{{- end }}
{{- if $store.sentinelPassword.existingSecret }}
sentinel_password_file: /ott/store/sentinel-password
{{- end }}
{{- if or $store.tls.ca.secret $store.tls.ca.configMap }}
ca: /ott/store/ca.crt
{{- end }}
{{- if $store.tls.clientSecret }}
certificate: /ott/store/tls.crt
key: /ott/store/tls.key
{{- end }}
{{- with $store.timeout }}
timeout: {{ . }}
{{- end }}
{{- with $store.wait }}
wait: {{ . }}
{{- end }}
{{- with $store.replicas }}
replicas: {{ . }}
{{- end }}
{{- end -}}

{{- define "ott.trust" -}}
{{- $trust := list -}}
{{- range $index, $entry := .Values.trust -}}
{{- $made := deepCopy $entry -}}
{{- if kindIs "map" $entry.jwks }}{{ $_ := set $made "jwks" (printf "/ott/trust/%d/jwks.json" $index) }}{{ end -}}
{{- if kindIs "map" $entry.ca }}{{ $_ := set $made "ca" (printf "/ott/trust/%d/ca.crt" $index) }}{{ end -}}
{{- $trust = append $trust $made -}}
{{- end -}}
{{- if and .Values.issuer.enabled .Values.issuer.trusted.enabled -}}
{{- $own := dict "issuer" .Values.issuer.url "algorithms" .Values.issuer.trusted.algorithms "jwks" "/ott/trust/issuer/jwks.json" -}}
{{- if eq (include "ott.issuerKeysBy" .) "https" -}}
{{- $_ := set $own "jwks" (printf "https://%s.%s.svc.%s:9003/jwks" (include "ott.suffixed" (dict "root" $ "suffix" "issuer")) (include "ott.namespace" .) .Values.clusterDomain) -}}
{{- $_ := set $own "ca" "/ott/trust/issuer/ca.crt" -}}
{{- end -}}
{{- $trust = append $trust $own -}}
{{- end -}}
{{- toYaml $trust -}}
{{- end -}}

{{- /* How the Check servers come by the keys of the chart's issuer: secret or https. */ -}}
{{- define "ott.issuerKeysBy" -}}
{{- $issuer := .Values.issuer -}}
{{- if ne $issuer.trusted.source "auto" -}}
{{- $issuer.trusted.source -}}
{{- else if and $issuer.keys.existingSecret (not $issuer.rings) -}}secret
{{- else -}}https
{{- end -}}
{{- end -}}

{{- define "ott.hasPolicy" -}}
{{- if or (not (kindIs "invalid" .inline)) .files .existingConfigMap -}}true{{- end -}}
{{- end -}}

{{- define "ott.auditConfig" -}}
path: {{ ternary "-" "/var/lib/ott/audit" (eq .Values.audit.volume "stdout") | quote }}
required: {{ .Values.audit.required }}
{{- with .Values.audit.rotate }}
rotate: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ott.config" -}}
{{- $check := printf "%s:9001" .Values.listen.host -}}
{{- if eq .Values.kind "Sidecar" }}{{ $check = "unix:///run/ott/check.sock" }}{{ end -}}
{{- $listen := dict "check" $check "admin" (printf "%s:9002" .Values.listen.host) "transport" .Values.listen.transport -}}
{{- if .Values.tls.enabled }}{{ $_ := set $listen "tls" (include "ott.tlsConfig" .Values.tls | fromYaml) }}{{ end -}}
{{- $made := dict "listen" $listen "store" (include "ott.store" . | fromYaml) "policy" "/ott/policy" -}}
{{- with include "ott.trust" . | fromYamlArray }}{{ $_ := set $made "trust" . }}{{ end -}}
{{- if include "ott.hasPolicy" .Values.shadowPolicy }}{{ $_ := set $made "shadow_policy" "/ott/shadow-policy" }}{{ end -}}
{{- if .Values.audit.enabled }}{{ $_ := set $made "audit" (include "ott.auditConfig" . | fromYaml) }}{{ end -}}
{{- $certificate := include "ott.clientCertificate" . | fromYaml -}}
{{- if not .Values.config.client_certificate }}{{ $_ := set $made "client_certificate" $certificate }}{{ end -}}
{{- toYaml (merge $made .Values.config) -}}
{{- end -}}

{{- define "ott.tlsConfig" -}}
certificate: /ott/tls/tls.crt
key: /ott/tls/tls.key
{{- if .clientAuth }}
client_ca: /ott/tls/client-ca.crt
{{- end }}
{{- end -}}

{{- /* Files as a ConfigMap's data, by name: text as it is, a map as YAML. */ -}}
{{- define "ott.documents" -}}
{{- $texts := dict -}}
{{- range $name, $content := . -}}
{{- $_ := set $texts $name (ternary $content (printf "%s\n" (toYaml $content)) (kindIs "string" $content)) -}}
{{- end -}}
{{- /* Not by hand: a text whose first line is indented would end the block, or begin another key. */ -}}
{{- toYaml $texts -}}
{{- end -}}
