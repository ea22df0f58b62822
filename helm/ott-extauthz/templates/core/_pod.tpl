{{- /* What both servers' pods have in common. */ -}}

{{- /* One probe: (dict "root" $ "probe" .Values.probes.liveness "handler" grpc|http "path" "/healthz" "service" "liveness"). */ -}}
{{- define "ott.probe" -}}
{{- if eq .handler "grpc" }}
grpc:
  port: 9001
  service: {{ .service | quote }}
{{- else }}
httpGet:
  path: {{ .path }}
  port: admin
{{- end }}
periodSeconds: {{ .probe.periodSeconds }}
timeoutSeconds: {{ .probe.timeoutSeconds }}
failureThreshold: {{ .probe.failureThreshold }}
{{- end -}}

{{- /* (dict "root" $ "component" "check"): the kubelet speaks gRPC in the clear and over TCP only. */ -}}
{{- define "ott.probes" -}}
{{- $speaksGrpc := and (eq .component "check") (not .root.Values.tls.enabled) (ne .root.Values.kind "Sidecar") -}}
{{- $usual := ternary "grpc" "http" $speaksGrpc -}}
{{- range $name, $about := dict "startup" (dict "path" "/healthz" "service" "liveness" "auto" $usual) "liveness" (dict "path" "/healthz" "service" "liveness" "auto" $usual) "readiness" (dict "path" "/readyz" "service" "" "auto" "http") }}
{{- $probe := get $.root.Values.probes $name }}
{{- if $probe.enabled }}
{{- $handler := ternary $about.auto $probe.handler (or (eq $probe.handler "auto") (ne $.component "check")) }}
{{ $name }}Probe: {{- include "ott.probe" (merge (dict "probe" $probe "handler" $handler) $about) | trim | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Without a shell where Kubernetes can sleep by itself. */ -}}
{{- define "ott.lifecycle" -}}
{{- with int .Values.preStop.sleepSeconds }}
lifecycle:
  preStop:
    {{- if semverCompare ">=1.30.0-0" $.Capabilities.KubeVersion.Version }}
    sleep:
      seconds: {{ . }}
    {{- else }}
    exec:
      command: [sleep, {{ . | quote }}]
    {{- end }}
{{- end }}
{{- end -}}

{{- /* (dict "root" $ "component" "check" "scope" .Values "command" "serve" "ports" YAML "files" list "leaves" true). */ -}}
{{- define "ott.container" -}}
- name: {{ ternary "ott-extauthz" "ott-issuer" (eq .component "check") }}
  image: {{ include "ott.image" .root | quote }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args: [{{ .command }}, --config, /etc/ott/ott.yaml]
  env:
    - name: POD_NAME
      valueFrom: {fieldRef: {fieldPath: metadata.name}}
    {{- with .scope.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports: {{- .ports | trim | nindent 4 }}
  {{- with include "ott.probes" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if .leaves }}
  {{- include "ott.lifecycle" .root | trim | nindent 2 }}
  {{- end }}
  resources: {{- toYaml .scope.resources | nindent 4 }}
  securityContext: {{- toYaml .root.Values.securityContext | nindent 4 }}
  volumeMounts:
    {{- include "ott.mounts" .files | trim | nindent 4 }}
    {{- with .scope.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "ott.spreading" -}}
{{- $own := dict "matchLabels" (include "ott.selectorLabels" . | fromYaml) -}}
{{- range .scope.topologySpreadConstraints }}
- {{ toYaml (merge dict . (dict "labelSelector" $own)) | nindent 2 | trim }}
{{- end }}
{{- end -}}

{{- /* As for ott.container, and "checksums" (YAML), "account" (values and own name), "spreads". */ -}}
{{- define "ott.podTemplate" -}}
{{- $root := .root -}}
metadata:
  annotations:
    kubectl.kubernetes.io/default-container: {{ ternary "ott-extauthz" "ott-issuer" (eq .component "check") }}
    {{- toYaml (merge (.checksums | fromYaml) (omit .scope.podAnnotations "kubectl.kubernetes.io/default-container")) | nindent 4 }}
  labels: {{- include "ott.labels" (dict "root" $root "component" .component "more" .scope.podLabels) | nindent 4 }}
spec:
  serviceAccountName: {{ include "ott.serviceAccountName" .account | quote }}
  automountServiceAccountToken: {{ .account.values.automountToken }}
  # Variables like OTT_EXTAUTHZ_PORT, which Kubernetes makes of Services, would be taken for settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "ott.grace" $root }}
  {{- with include "ott.pullSecrets" $root }}
  imagePullSecrets: {{- . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with $root.Values.runtimeClassName }}
  runtimeClassName: {{ . | quote }}
  {{- end }}
  securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  {{- with .scope.extraInitContainers }}
  initContainers: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    {{- include "ott.container" . | nindent 4 }}
    {{- with .scope.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "ott.volumes" .files | trim | nindent 4 }}
    {{- with .scope.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- range $key := list "nodeSelector" "affinity" "tolerations" }}
  {{- with get $.scope $key }}
  {{ $key }}: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- if and .spreads .scope.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- include "ott.spreading" . | trim | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "ott.checkPorts" -}}
{{- if ne .Values.kind "Sidecar" }}
- {name: grpc-check, containerPort: 9001, protocol: TCP}
{{- end }}
- {name: admin, containerPort: 9002, protocol: TCP}
{{- end -}}

{{- /* What a Check server's pod is made from; also the sidecar's. */ -}}
{{- define "ott.checksums" -}}
checksum/config: {{ include "ott.config" . | sha256sum }}
{{- with include "ott.ownSecrets" . | trim }}
checksum/secret: {{ sha256sum . }}
{{- end }}
{{- end -}}
