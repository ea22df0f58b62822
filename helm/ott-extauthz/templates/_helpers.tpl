{{- define "ott.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ott.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "ott.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ott.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ott.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- /* The Check server's host inside the cluster. */ -}}
{{- define "ott.host" -}}
{{- printf "%s.%s.svc.cluster.local" (include "ott.fullname" .) (include "ott.namespace" .) -}}
{{- end -}}

{{- /* Called with (dict "root" $ "component" "check"); what a selector may hold, and never changes. */ -}}
{{- define "ott.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ott.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "ott.labels" -}}
{{ include "ott.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Whether a kind of another project is rendered: (dict "root" $ "mode" skipIfMissing|failIfMissing|alwaysRender
       "api" "monitoring.coreos.com/v1" "for" "serviceMonitor"); "true", or empty. */ -}}
{{- define "ott.renders" -}}
{{- if or (eq .mode "alwaysRender") (.root.Capabilities.APIVersions.Has .api) -}}true
{{- else if eq .mode "failIfMissing" -}}
{{- fail (printf "%s: the cluster does not have %s" .for .api) -}}
{{- end -}}
{{- end -}}
