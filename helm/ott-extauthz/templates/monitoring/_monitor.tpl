{{- /* Labels of one of these objects: (dict "root" $ "component" "check" "settings" .Values.metrics.…); ours count first. */ -}}
{{- define "ott.monitoring.labels" -}}
{{- toYaml (merge (include "ott.labels" . | fromYaml) .settings.additionalLabels) -}}
{{- end -}}

{{- /* The components that are scraped, by name, with what is added to the release's name. */ -}}
{{- define "ott.monitoring.components" -}}
check: ""
{{- if (default dict .Values.issuer).enabled }}
issuer: -issuer
{{- end }}
{{- end -}}

{{- /* How one target is scraped: (dict "settings" .Values.metrics.serviceMonitor). */ -}}
{{- define "ott.monitoring.endpoint" -}}
port: admin
path: /metrics
scheme: http
interval: {{ .settings.interval }}
scrapeTimeout: {{ .settings.scrapeTimeout }}
honorLabels: {{ .settings.honorLabels }}
{{- with .settings.relabelings }}
relabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.metricRelabelings }}
metricRelabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
