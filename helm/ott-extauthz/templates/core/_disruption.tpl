{{- /* (dict "root" $ "component" "check" "name" … "budget" .Values.podDisruptionBudget). */ -}}
{{- define "ott.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "ott.metadata" . | nindent 2 }}
spec:
  {{- if kindIs "invalid" .budget.minAvailable }}
  maxUnavailable: {{ .budget.maxUnavailable }}
  {{- else }}
  minAvailable: {{ .budget.minAvailable }}
  {{- end }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "ott.selectorLabels" . | nindent 6 }}
{{- end -}}
