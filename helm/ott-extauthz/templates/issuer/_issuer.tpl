{{- /* The issuer's own ott.yaml, and the files it gets. */ -}}

{{- define "ott.issuerConfig" -}}
{{- $values := .Values.issuer -}}
{{- $host := .Values.listen.host -}}
{{- $issuer := dict "url" $values.url "listen" (printf "%s:9003" $host) "admin" (printf "%s:9004" $host) "clients" "/ott/clients/clients.yaml" "tls" (include "ott.tlsConfig" $values.tls | fromYaml) -}}
{{- if $values.keys.vault -}}
{{- $_ := set $issuer "keys" (dict "vault" $values.keys.vault) -}}
{{- else if $values.keys.awsKms -}}
{{- $_ := set $issuer "keys" (dict "aws_kms" $values.keys.awsKms) -}}
{{- else -}}
{{- $_ := set $issuer "keys" "/ott/keys/default" -}}
{{- $_ := set $issuer "read_only" true -}}
{{- if $values.keys.passphrase.existingSecret }}{{ $_ := set $issuer "passphrase_file" "/ott/passphrase/default" }}{{ end -}}
{{- end -}}
{{- if $values.grpc.enabled }}{{ $_ := set $issuer "grpc" (printf "%s:9005" $host) }}{{ end -}}
{{- $rings := dict -}}
{{- range $name, $ring := $values.rings -}}
{{- $made := dict "directory" (printf "/ott/keys/%s" $name) "read_only" true -}}
{{- if $ring.passphrase }}{{ $_ := set $made "passphrase_file" (printf "/ott/passphrase/%s" $name) }}{{ end -}}
{{- $_ := set $rings $name $made -}}
{{- end -}}
{{- if $rings }}{{ $_ := set $issuer "rings" $rings }}{{ end -}}
{{- $made := dict "issuer" (merge $issuer $values.config) "store" (include "ott.store" . | fromYaml) -}}
{{- if .Values.audit.enabled }}{{ $_ := set $made "audit" (include "ott.auditConfig" . | fromYaml) }}{{ end -}}
{{- /* What concerns both servers; the rest is the Check server's alone. */ -}}
{{- toYaml (merge $made (omit .Values.config "client_certificate" "api_keys" "envoy_payload" "introspection" "decryption" "dpop" "partners" "trust_domains" "region" "geoip" "expose_reasons" "attach" "issuer")) -}}
{{- end -}}

{{- define "ott.passphraseSources" -}}
{{- $keys := .Values.issuer.keys -}}
{{- if $keys.passphrase.existingSecret }}
{{ include "ott.source" (dict "root" $ "from" (dict "secret" $keys.passphrase.existingSecret "key" $keys.passphrase.key) "path" "default") }}
{{- end }}
{{- range $name, $ring := .Values.issuer.rings }}
{{- with $ring.passphrase }}
{{ include "ott.source" (dict "root" $ "from" (dict "secret" .existingSecret "key" (default "passphrase" .key)) "path" $name) }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* A Secret as a folder of files that a group may read. */ -}}
{{- define "ott.secretFolder" -}}
- name: {{ .name }}
  path: {{ .path }}
  volume:
    secret:
      secretName: {{ include "ott.tpl" (dict "root" .root "name" .secret) | quote }}
      defaultMode: 0440
{{- end -}}

{{- define "ott.issuerFiles" -}}
{{- $values := .Values.issuer -}}
{{- $clients := default (include "ott.suffixed" (dict "root" $ "suffix" "clients")) (include "ott.tpl" (dict "root" $ "name" $values.clients.existingConfigMap)) -}}
{{ include "ott.folder" (dict "name" "ott-config" "path" "/etc/ott" "configMap" (include "ott.suffixed" (dict "root" $ "suffix" "issuer"))) }}
{{ include "ott.folder" (dict "name" "ott-clients" "path" "/ott/clients" "configMap" $clients) }}
{{- if $values.keys.existingSecret }}
{{ include "ott.secretFolder" (dict "root" $ "name" "ott-keys" "path" "/ott/keys/default" "secret" $values.keys.existingSecret) }}
{{- end }}
{{- range $name, $ring := $values.rings }}
{{ include "ott.secretFolder" (dict "root" $ "name" (printf "ott-ring-%s" $name) "path" (printf "/ott/keys/%s" $name) "secret" $ring.existingSecret) }}
{{- end }}
{{- include "ott.projected" (dict "name" "ott-passphrase" "path" "/ott/passphrase" "sources" (include "ott.passphraseSources" .)) }}
{{- include "ott.projected" (dict "name" "ott-tls" "path" "/ott/tls" "sources" (include "ott.tlsSources" (dict "root" $ "tls" $values.tls "own" (include "ott.issuerTlsSecret" .)))) }}
{{- include "ott.projected" (dict "name" "ott-store" "path" "/ott/store" "sources" (include "ott.storeSources" .)) }}
{{- include "ott.secretFiles" (dict "root" $ "component" "issuer") }}
{{- include "ott.auditFiles" . }}
{{- end -}}

{{- define "ott.issuerPorts" -}}
- {name: https-issuer, containerPort: 9003, protocol: TCP}
- {name: admin, containerPort: 9004, protocol: TCP}
{{- if .Values.issuer.grpc.enabled }}
- {name: grpc-issuer, containerPort: 9005, protocol: TCP}
{{- end }}
{{- end -}}

{{- define "ott.issuerChecksums" -}}
checksum/config: {{ include "ott.issuerConfig" . | sha256sum }}
{{- with include "ott.ownSecrets" . | trim }}
checksum/secret: {{ sha256sum . }}
{{- end }}
{{- end -}}
