{{- /* (dict "root" $ "component" "check" "name" object "tls" .Values.tls "for" "tls" "services" names). */ -}}
{{- define "ott.certificate" -}}
{{- $made := .tls.certManager -}}
{{- if $made.enabled }}
{{- if include "ott.renders" (dict "root" .root "mode" $made.renderMode "api" "cert-manager.io/v1" "for" (printf "%s.certManager" .for)) }}
{{- $namespace := include "ott.namespace" .root }}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- include "ott.metadata" . | nindent 2 }}
spec:
  secretName: {{ .name }}
  issuerRef: {{- toYaml $made.issuerRef | nindent 4 }}
  duration: {{ $made.duration }}
  renewBefore: {{ $made.renewBefore }}
  usages: [digital signature, key encipherment, server auth]
  privateKey: {algorithm: ECDSA, size: 256, rotationPolicy: Always}
  dnsNames:
    {{- range .services }}
    - {{ . }}
    - {{ . }}.{{ $namespace }}
    - {{ . }}.{{ $namespace }}.svc
    - {{ . }}.{{ $namespace }}.svc.{{ $.root.Values.clusterDomain }}
    {{- end }}
    {{- with $made.extraDnsNames }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end }}
{{- end -}}
