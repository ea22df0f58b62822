{{- /* One after the other and none missing; two memory stores beside each other would each let a token through. */ -}}
{{- define "ott.updateStrategy" -}}
{{- if .Values.updateStrategy -}}
{{- toYaml .Values.updateStrategy -}}
{{- else if eq .Values.store.type "memory" -}}
type: Recreate
{{- else -}}
type: RollingUpdate
rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
{{- end -}}
{{- end -}}

{{- /* The Secrets that the chart makes, each {name, files}; YAML. */ -}}
{{- define "ott.ownSecrets" -}}
{{- if .Values.store.password.value }}
- name: {{ include "ott.suffixed" (dict "root" $ "suffix" "store") }}
  files: {password: {{ .Values.store.password.value | toJson }}}
{{- end }}
{{- range $name, $entry := .Values.secrets }}
{{- if $entry.files }}
- name: {{ include "ott.suffixed" (dict "root" $ "suffix" $name) }}
  files: {{- toYaml $entry.files | nindent 4 }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The pod template that puts the Check server beside an Envoy: a strategic merge patch of Envoy's own workload. */ -}}
{{- define "ott.sidecar" -}}
{{- $files := include "ott.checkFiles" . | fromYamlArray -}}
{{- $security := merge (dict "runAsGroup" (int .Values.sidecar.groupId)) .Values.securityContext (omit .Values.podSecurityContext "fsGroup" "fsGroupChangePolicy" "supplementalGroups" "sysctls") -}}
{{- $container := include "ott.container" (dict "root" . "component" "check" "scope" .Values "command" "serve" "ports" (include "ott.checkPorts" . | trim) "files" $files "leaves" (not .Values.sidecar.native)) | fromYamlArray | first -}}
{{- $_ := set $container "securityContext" $security -}}
{{- if .Values.sidecar.native }}{{ $_ := set $container "restartPolicy" "Always" }}{{ end -}}
spec:
  template:
    metadata:
      annotations: {{- include "ott.checksums" . | nindent 8 }}
    spec:
      # Variables like OTT_EXTAUTHZ_PORT, which Kubernetes makes of Services, would be taken for settings.
      enableServiceLinks: false
      {{- with include "ott.pullSecrets" . }}
      imagePullSecrets: {{- . | nindent 8 }}
      {{- end }}
      securityContext:
        # Owns the socket's folder: both containers are in this group, and the socket has mode 0660.
        fsGroup: {{ int .Values.sidecar.groupId }}
      {{- with concat .Values.extraInitContainers (ternary (list $container) list .Values.sidecar.native) }}
      initContainers: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        {{- with concat (ternary list (list $container) .Values.sidecar.native) .Values.extraContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        - name: {{ .Values.sidecar.envoyContainer | quote }}
          volumeMounts:
            - {name: ott-socket, mountPath: /run/ott}
      volumes:
        {{- include "ott.volumes" $files | trim | nindent 8 }}
        {{- with .Values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}
