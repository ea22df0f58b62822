{{- /* Refuses a target that Istio would refuse, or that would guard the Check server itself: called with
       (dict "root" $ "target" .). */ -}}
{{- define "ott.istio.check" -}}
{{- $target := .target -}}
{{- $values := .root.Values.istio -}}
{{- $own := include "ott.namespace" .root -}}
{{- $at := printf "istio.targets (%s)" $target.name -}}
{{- $twins := 0 -}}
{{- range $values.targets -}}
{{- if and (eq .name $target.name) (eq .namespace $target.namespace) -}}{{- $twins = add1 $twins -}}{{- end -}}
{{- end -}}
{{- if gt (int $twins) 1 -}}{{- fail (printf "%s: stands twice" $at) -}}{{- end -}}
{{- if or (hasSuffix "-allow" $target.name) (eq $target.name "callers") -}}
{{- fail (printf "%s: the chart's own policies end in -allow and -callers; choose another name" $at) -}}
{{- end -}}
{{- $isWide := not (or $target.selector $target.targetRefs) -}}
{{- if and $target.selector $target.targetRefs -}}
{{- fail (printf "%s: Istio takes either selector or targetRefs" $at) -}}
{{- end -}}
{{- if and $isWide (eq $target.namespace $values.rootNamespace) -}}
{{- fail (printf "%s: without a selector a policy in the root namespace guards every workload, the Check server too: its Checks would be checked, endlessly" $at) -}}
{{- end -}}
{{- if and $isWide (eq $target.namespace $own) -}}
{{- fail (printf "%s: without a selector it guards the Check server too, which stands in this namespace: its Checks would be checked, endlessly" $at) -}}
{{- end -}}
{{- if and $target.selector (has $target.namespace (list $own $values.rootNamespace)) -}}
{{- $labels := fromYaml (include "ott.labels" (dict "root" .root "component" "check" "more" .root.Values.podLabels)) -}}
{{- $others := dict -}}
{{- range $label, $value := $target.selector -}}
{{- if ne (get $labels $label) $value -}}{{- $_ := set $others $label $value -}}{{- end -}}
{{- end -}}
{{- if not $others -}}
{{- fail (printf "%s: the selector matches the Check server itself: its Checks would be checked, endlessly" $at) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $target.kind "waypoint") (not $target.targetRefs) -}}
{{- fail (printf "%s: a waypoint is found by targetRefs, not by labels" $at) -}}
{{- end -}}
{{- if and (eq $target.kind "waypoint") $values.patch.enabled -}}
{{- fail (printf "%s: the EnvoyFilter is for gateways and sidecars; a waypoint takes istio.patch.enabled=false" $at) -}}
{{- end -}}
{{- if and $target.behindGateway (ne $target.kind "sidecar") -}}
{{- fail (printf "%s: behindGateway is for sidecars" $at) -}}
{{- end -}}
{{- if and $target.behindGateway (not $values.gatewayIdentities) -}}
{{- fail (printf "%s: behindGateway needs istio.gatewayIdentities, or any caller could play the gateway" $at) -}}
{{- end -}}
{{- end -}}

{{- /* What a policy attaches to. */ -}}
{{- define "ott.istio.scope" -}}
{{- with .selector }}
selector:
  matchLabels: {{ toYaml . | nindent 4 }}
{{- end }}
{{- with .targetRefs }}
targetRefs: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The name of an object for one target. */ -}}
{{- define "ott.istio.name" -}}
{{- printf "%s-%s" (include "ott.fullname" .root) .target.name -}}
{{- end -}}

{{- /* The extensionProvider's own name: two releases under one would ask each other's servers, with each other's policies. */ -}}
{{- define "ott.istio.providerName" -}}
{{- $own := printf "%s-%s" (include "ott.namespace" .) (include "ott.fullname" .) -}}
{{- if gt (len $own) 55 }}{{ $own = printf "%s-%s" (trunc 46 $own | trimSuffix "-") (sha256sum $own | trunc 8) }}{{ end -}}
{{- default $own .Values.istio.provider -}}
{{- end -}}

{{- /* Which provider a target's policy names: bodies are the provider's affair, and one without them is one of its own. */ -}}
{{- define "ott.istio.provider" -}}
{{- $hasBody := ne (toString (get .target "body")) "false" -}}
{{- include "ott.istio.providerName" .root }}{{ ternary "" "-no-body" (or $hasBody (not .root.Values.envoy.maxRequestBytes)) }}
{{- end -}}
