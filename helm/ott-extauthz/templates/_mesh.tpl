{{- /* What the templates for Istio, Envoy Gateway and the snippets in NOTES share. */ -}}

{{- /* Envoy's time limit for one Check, as Envoy and Istio write it: "0.25s". */ -}}
{{- define "ott.envoy.timeout" -}}
{{- printf "%gs" (divf (float64 .Values.envoy.timeoutMilliseconds) 1000.0) -}}
{{- end -}}

{{- /* How many Checks share a connection: the transport native ends one on which more are cancelled at a time. */ -}}
{{- define "ott.envoy.streams" -}}20{{- end -}}

{{- /* The gRPC port of the Check server's Service. */ -}}
{{- define "ott.envoy.checkPort" -}}9001{{- end -}}

{{- /* What every ext_authz filter that asks this server should have, and neither Istio's API nor Envoy Gateway's can say.
       NOTES, the EnvoyFilter and the EnvoyPatchPolicy all take it from here. */ -}}
{{- define "ott.envoy.hardening" -}}
stat_prefix: ott
status_on_error: {code: ServiceUnavailable}
encode_raw_headers: true
include_peer_certificate: true
include_tls_session: true
validate_mutations: true
decoder_header_mutation_rules:
  disallow_all: true
  disallow_is_error: true
  allow_expression: {regex: {{ .Values.envoy.mutableHeaders | quote }}}
enable_dynamic_metadata_ingestion: true
{{- end -}}

{{- /* How much of a body is sent along, in Envoy's words; empty without bodies. */ -}}
{{- define "ott.envoy.body" -}}
{{- with .Values.envoy.maxRequestBytes -}}
with_request_body: {max_request_bytes: {{ int . }}, allow_partial_message: false, pack_as_bytes: true}
{{- end -}}
{{- end -}}

{{- /* One reading of the target and no look-alike headers, for connection managers that a patch can reach. */ -}}
{{- define "ott.envoy.oneReading" -}}
normalize_path: true
merge_slashes: true
path_with_escaped_slashes_action: REJECT_REQUEST
strip_trailing_host_dot: true
common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}
{{- end -}}

{{- /* Which rules for the caller's certificate the targets need: peer | xfcc-exact | xfcc | hops, as a JSON list. */ -}}
{{- define "ott.mesh.rules" -}}
{{- $rules := list -}}
{{- if .Values.istio.enabled -}}
{{- range .Values.istio.targets -}}
{{- if .behindGateway -}}{{- $rules = append $rules "hops" -}}
{{- else if $.Values.istio.patch.enabled -}}{{- $rules = append $rules "peer" -}}
{{- else -}}{{- $rules = append $rules (ternary "xfcc-exact" "xfcc" (eq .kind "gateway")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.envoyGateway.enabled -}}
{{- $rules = append $rules (ternary "peer" "xfcc-exact" .Values.envoyGateway.patch.enabled) -}}
{{- end -}}
{{- $rules = uniq $rules -}}
{{- if has "xfcc" $rules -}}{{- $rules = without $rules "xfcc-exact" -}}{{- end -}}
{{- toJson $rules -}}
{{- end -}}

{{- /* The server's `client_certificate` for the topology that the values describe. One server has one such rule, so that
       targets which need different ones are an error, and a rule of the operator's own that is another one as well. */ -}}
{{- define "ott.clientCertificate" -}}
{{- $rules := include "ott.mesh.rules" . | fromJsonArray -}}
{{- if gt (len $rules) 1 -}}
{{- fail (printf "istio.targets, envoyGateway: these need different rules for the caller's certificate (%s), and a server has one: install a release for each" (join ", " $rules)) -}}
{{- end -}}
{{- $rule := default "peer" (first $rules) -}}
{{- $own := get (default dict .Values.config) "client_certificate" -}}
{{- if and $own $rules -}}
{{- $source := default "peer" $own.source -}}
{{- $hops := int (default 0 $own.trusted_hops) -}}
{{- if or (ne $source (ternary "peer" "xfcc" (eq $rule "peer"))) (ne $hops (ternary 1 0 (eq $rule "hops"))) -}}
{{- fail (printf "config.client_certificate: source %s with %d trusted_hops is not what these targets need; leave it out, and the chart writes what fits" $source $hops) -}}
{{- end -}}
{{- end -}}
{{- if eq $rule "hops" -}}
source: xfcc
trusted_hops: 1
hop_identities: {{ toJson .Values.istio.gatewayIdentities }}
exact_hops: true
{{- else if eq $rule "xfcc-exact" -}}
source: xfcc
exact_hops: true
{{- else -}}
source: {{ $rule }}
{{- end -}}
{{- end -}}

{{- /* Where the server's kind is Sidecar there is no Service that a mesh could ask. */ -}}
{{- define "ott.mesh.isSidecar" -}}
{{- if eq (toString .Values.kind) "Sidecar" -}}
{{- if or .Values.istio.enabled .Values.envoyGateway.enabled -}}
{{- fail "kind: Sidecar makes no Service that istio or envoyGateway could ask; docs/istio.md says how a mesh reaches a socket" -}}
{{- end -}}
true
{{- end -}}
{{- end -}}

{{- /* What plain Envoy asks: every pod by its own address, or the one of its own node. */ -}}
{{- define "ott.envoy.address" -}}
{{- if eq (toString .Values.kind) "DaemonSet" -}}
{{- include "ott.host" . -}}
{{- else -}}
{{- printf "%s.%s.svc.%s" (include "ott.suffixed" (dict "root" . "suffix" "headless")) (include "ott.namespace" .) (default "cluster.local" .Values.clusterDomain) -}}
{{- end -}}
{{- end -}}

{{- /* A server that died is left alone after three failed connections; answers do not count, and one alone stays in. Here
       for Envoy, below for Istio, which has no names of its own for the rest. */ -}}
{{- define "ott.envoy.outliers" -}}
outlier_detection:
  split_external_local_origin_errors: true
  consecutive_local_origin_failure: 3
  enforcing_local_origin_success_rate: 0
  enforcing_success_rate: 0
  enforcing_consecutive_5xx: 0
  enforcing_consecutive_gateway_failure: 0
  base_ejection_time: 10s
  interval: 1s
  max_ejection_percent: 50
{{- end -}}

{{- define "ott.istio.outliers" -}}
outlierDetection:
  splitExternalLocalOriginErrors: true
  consecutiveLocalOriginFailures: 3
  consecutive5xxErrors: 0
  consecutiveGatewayErrors: 0
  baseEjectionTime: 10s
  interval: 1s
  maxEjectionPercent: 50
{{- end -}}
