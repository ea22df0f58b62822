{{- /* Envoy's own configuration for this release: last filter before the router, and the cluster it asks. */ -}}
{{- define "ott.notes.envoyFilter" -}}
- name: envoy.filters.http.ext_authz
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
    transport_api_version: V3
    grpc_service: {envoy_grpc: {cluster_name: ott}, timeout: {{ include "ott.envoy.timeout" . }}}
    failure_mode_allow: false
    clear_route_cache: false
    deny_at_disable: {default_value: {value: true}, runtime_key: ott.deny_at_disable}
    {{- include "ott.envoy.hardening" . | nindent 4 }}
    {{- include "ott.envoy.body" . | nindent 4 }}
{{- end -}}

{{- define "ott.notes.envoyCluster" -}}
- name: ott
  type: STRICT_DNS
  lb_policy: LEAST_REQUEST
  {{- include "ott.notes.clusterCommon" . | nindent 2 }}
  load_assignment:
    cluster_name: ott
    endpoints:
      - lb_endpoints:
          - endpoint: {address: {socket_address: {address: {{ include "ott.envoy.address" . }}, port_value: {{ include "ott.envoy.checkPort" . }}}}}
{{- end -}}

{{- define "ott.notes.socketCluster" -}}
- name: ott
  type: STATIC
  {{- include "ott.notes.clusterCommon" . | nindent 2 }}
  load_assignment:
    cluster_name: ott
    endpoints:
      - lb_endpoints:
          - endpoint: {address: {pipe: {path: /run/ott/check.sock}}}
{{- end -}}

{{- define "ott.notes.clusterCommon" -}}
connect_timeout: {{ include "ott.envoy.timeout" . }}
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: {http2_protocol_options: {max_concurrent_streams: {{ include "ott.envoy.streams" . }}}}
circuit_breakers: {thresholds: [{max_requests: {{ int .Values.envoy.maxRequests }}, max_pending_requests: {{ int .Values.envoy.maxRequests }}}]}
health_checks:
  - {timeout: 1s, interval: 1s, no_traffic_interval: 1s, unhealthy_threshold: 2, healthy_threshold: 1, grpc_health_check: {}}
{{ include "ott.envoy.outliers" . }}
common_lb_config: {healthy_panic_threshold: {value: 0}, update_merge_window: 0s}
{{- if .Values.tls.enabled }}
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    sni: {{ include "ott.host" . }}
    common_tls_context:
      alpn_protocols: [h2]
      {{- if .Values.tls.clientAuth }}
      tls_certificates: [{certificate_chain: {filename: tls/envoy.pem}, private_key: {filename: tls/envoy-key.pem}}]   # YOURS
      {{- end }}
      validation_context:
        trusted_ca: {filename: tls/ott-ca.pem}   # YOURS
        match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: {{ include "ott.host" . }}}}]
{{- end }}
{{- end -}}

{{- /* A layer of its own in Envoy's bootstrap. */ -}}
{{- define "ott.notes.envoyRuntime" -}}
layered_runtime:
  layers: [{name: static, static_layer: {http.max_requests_per_io_cycle: 1}}]
{{- end -}}

{{- /* Envoy Gateway has one bootstrap, and one client certificate, for each fleet of proxies; its owner writes it. */ -}}
{{- define "ott.notes.envoyProxy" -}}
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyProxy
metadata: {name: YOURS, namespace: YOUR-NAMESPACE}
spec:
  bootstrap:
    type: JSONPatch
    jsonPatches:
      - op: add
        path: /layered_runtime/layers/-
        value: {name: ott, static_layer: {http.max_requests_per_io_cycle: 1}}
  {{- if and .Values.tls.enabled .Values.tls.clientAuth }}
  backendTLS:
    clientCertificateRef: {group: "", kind: Secret, name: YOUR-SECRET, namespace: YOUR-NAMESPACE}
  {{- end }}
{{- end -}}
