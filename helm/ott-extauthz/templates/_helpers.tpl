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

{{- /* <fullname>-<suffix>, (dict "root" $ "suffix" "headless"); a digest keeps two long names apart in 63 characters. */ -}}
{{- define "ott.suffixed" -}}
{{- $full := include "ott.fullname" .root -}}
{{- $plain := printf "%s-%s" $full .suffix -}}
{{- if le (len $plain) 63 -}}
{{- $plain -}}
{{- else -}}
{{- printf "%s-%s-%s" (trunc (int (sub 53 (len .suffix))) $full | trimSuffix "-") (sha256sum $full | trunc 8) .suffix -}}
{{- end -}}
{{- end -}}

{{- define "ott.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- /* The Check server's host inside the cluster. */ -}}
{{- define "ott.host" -}}
{{- printf "%s.%s.svc.%s" (include "ott.fullname" .) (include "ott.namespace" .) .Values.clusterDomain -}}
{{- end -}}

{{- /* Called with (dict "root" $ "component" "check"); what a selector may hold, and never changes. */ -}}
{{- define "ott.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ott.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- /* The same with what may change; more of them as "more", which never replace ours. */ -}}
{{- define "ott.labels" -}}
{{- $ours := include "ott.selectorLabels" . | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63) -}}
{{- toYaml (merge $ours (default dict .more) .root.Values.commonLabels) -}}
{{- end -}}

{{- /* Name, namespace and labels: (dict "root" $ "component" "check" "name" …). */ -}}
{{- define "ott.metadata" -}}
name: {{ .name | quote }}
namespace: {{ include "ott.namespace" .root | quote }}
labels: {{- include "ott.labels" . | nindent 2 }}
{{- end -}}

{{- /* Whether a kind of another project is rendered: (dict "root" $ "mode" skipIfMissing|failIfMissing|alwaysRender
       "api" "monitoring.coreos.com/v1" "for" "serviceMonitor"); "true", or empty. */ -}}
{{- define "ott.renders" -}}
{{- if or (eq .mode "alwaysRender") (.root.Capabilities.APIVersions.Has .api) -}}true
{{- else if eq .mode "failIfMissing" -}}
{{- fail (printf "%s: the cluster does not have %s. Where no cluster is asked (helm template), set renderMode alwaysRender, or give Helm --api-versions %s" .for .api .api) -}}
{{- end -}}
{{- end -}}

{{- /* A name that may be a template: (dict "root" $ "name" …). */ -}}
{{- define "ott.tpl" -}}
{{- tpl (default "" .name | toString) .root -}}
{{- end -}}

{{- define "ott.image" -}}
{{- $name := .Values.image.repository -}}
{{- with default (default dict .Values.global).imageRegistry .Values.image.registry -}}{{- $name = printf "%s/%s" . $name -}}{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- /* The registry's secrets, of this chart and of the one that it is part of, which may name them or write them as objects. */ -}}
{{- define "ott.pullSecrets" -}}
{{- $all := list -}}
{{- range concat (default list (default dict .Values.global).imagePullSecrets) .Values.imagePullSecrets -}}
{{- $all = append $all (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- if $all }}{{ toYaml (uniq $all) }}{{ end -}}
{{- end -}}

{{- /* Seconds of an ott.yaml duration, rounded up: (dict "text" "500ms" "default" 5). */ -}}
{{- define "ott.seconds" -}}
{{- $text := default "" .text | toString -}}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?" $text | default (toString .default) | float64 -}}
{{- $unit := get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0) (regexFind "(ms|s|m|h|d)$" $text | default "s") -}}
{{- mulf $number $unit | ceil | int -}}
{{- end -}}

{{- /* What a pod needs to leave: preStop, the two parts of the drain, and what it sends its last spans in. */ -}}
{{- define "ott.leaving" -}}
{{- $drain := default dict .Values.config.drain -}}
{{- $wait := include "ott.seconds" (dict "text" $drain.wait "default" 5) | int -}}
{{- $grace := include "ott.seconds" (dict "text" $drain.grace "default" 5) | int -}}
{{- add .Values.preStop.sleepSeconds $wait $grace (ternary 2 0 (not (empty .Values.config.tracing))) -}}
{{- end -}}

{{- define "ott.grace" -}}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds -}}
{{- add (include "ott.leaving" .) 5 -}}
{{- else -}}
{{- int .Values.terminationGracePeriodSeconds -}}
{{- end -}}
{{- end -}}

{{- /* The name of a ServiceAccount: (dict "root" $ "values" .Values.serviceAccount "own" name). */ -}}
{{- define "ott.serviceAccountName" -}}
{{- if .values.name -}}{{- .values.name -}}{{- else if .values.create -}}{{- .own -}}{{- else -}}default{{- end -}}
{{- end -}}
