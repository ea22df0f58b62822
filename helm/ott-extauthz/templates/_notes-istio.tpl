{{- /* For the mesh's configuration, which no chart of ours may write. */ -}}
{{- define "ott.notes.istioProvider" -}}
meshConfig:
  extensionProviders:
    {{- $own := include "ott.istio.providerName" . }}
    {{- $names := list $own }}
    {{- range .Values.istio.targets }}
    {{- $names = append $names (include "ott.istio.provider" (dict "root" $ "target" .)) }}
    {{- end }}
    {{- range $name := uniq $names }}
    - name: {{ $name | quote }}
      envoyExtAuthzGrpc:
        service: {{ include "ott.host" $ }}
        port: {{ include "ott.envoy.checkPort" $ }}
        timeout: {{ include "ott.envoy.timeout" $ }}   # the default is 600s
        failOpen: false
        statusOnError: "503"
        {{- if and $.Values.envoy.maxRequestBytes (eq $name $own) }}
        includeRequestBodyInCheck: {maxRequestBytes: {{ int $.Values.envoy.maxRequestBytes }}, allowPartialMessage: false, packAsBytes: true}
        {{- end }}
    {{- end }}
  defaultConfig: {runtimeValues: {http.max_requests_per_io_cycle: "1"}}   # or for single pods: annotation proxy.istio.io/config
  pathNormalization: {normalization: DECODE_AND_MERGE_SLASHES}
  defaultHttpRetryPolicy: {attempts: 0}   # or in each VirtualService: one Check must not become several deliveries
{{- end -}}

{{- define "ott.notes.istioPolicy" -}}
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ott, namespace: YOUR-NAMESPACE}
spec:
  selector: {matchLabels: {app: YOUR-APP}}
  action: CUSTOM
  provider: {name: {{ include "ott.istio.providerName" . | quote }}}
  rules: [{}]
{{- end -}}
