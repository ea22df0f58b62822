{{- /* What must not be installed, and why: a line for each, or nothing. */ -}}

{{- define "ott.mistakes" -}}
{{- include "ott.mistakesOfNames" . -}}
{{- include "ott.mistakesOfPolicy" . -}}
{{- include "ott.mistakesOfStore" . -}}
{{- include "ott.mistakesOfStoreChange" . -}}
{{- include "ott.mistakesOfProviderChange" . -}}
{{- include "ott.mistakesOfPods" . -}}
{{- include "ott.mistakesOfReplacing" . -}}
{{- include "ott.mistakesOfReach" . -}}
{{- include "ott.mistakesOfMonitoring" . -}}
{{- include "ott.mistakesOfVariables" . -}}
{{- include "ott.mistakesOfTls" . -}}
{{- include "ott.mistakesOfSecrets" . -}}
{{- if .Values.issuer.enabled }}{{ include "ott.mistakesOfIssuer" . }}{{ end -}}
{{- include "ott.risks" . -}}
{{- end -}}

{{- define "ott.mistakesOfNames" -}}
{{- $name := include "ott.fullname" . -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name) }}
- name: Services begin with a letter and hold a-z, 0-9 and -, and {{ $name }} does not; set fullnameOverride
{{- end }}
{{- end -}}

{{- define "ott.mistakesOfPolicy" -}}
{{- range $name, $policy := dict "policy" .Values.policy "shadowPolicy" .Values.shadowPolicy }}
{{- $ways := 0 -}}
{{- if not (kindIs "invalid" $policy.inline) }}{{ $ways = add1 $ways }}{{ end -}}
{{- if $policy.files }}{{ $ways = add1 $ways }}{{ end -}}
{{- if $policy.existingConfigMap }}{{ $ways = add1 $ways }}{{ end -}}
{{- if gt (int $ways) 1 }}
- {{ $name }}: one of inline, files and existingConfigMap
{{- else if and (eq $name "policy") (eq (int $ways) 0) }}
- policy: required, as policy.inline, policy.files or policy.existingConfigMap; what no route matches is refused, so nothing is served without one
{{- end }}
{{- end }}
{{- $owners := dict "listen" "listen, tls" "store" "store" "trust" "trust" "policy" "policy" "shadow_policy" "shadowPolicy" "audit" "audit" }}
{{- range $key, $owner := $owners }}
{{- if hasKey $.Values.config $key }}
- config.{{ $key }}: the chart writes it; set {{ $owner }}
{{- end }}
{{- end }}
{{- if and .Values.config.issuer (not (default dict .Values.config.attach).client_id) }}
- config.issuer: the chart writes it; set issuer. Only attach.client_id, which mints in the Check server, has one here
{{- end }}
{{- end -}}

{{- define "ott.mistakesOfStore" -}}
{{- $store := .Values.store -}}
{{- $count := len $store.servers -}}
{{- $redis := has $store.type (list "standalone" "sentinel" "cluster" "quorum") -}}
{{- if not $store.type }}
- store.type: required, where uses are remembered: standalone, sentinel, cluster, quorum, postgresql; memory is for trying, with one pod
{{- else if eq $store.type "memory" }}
{{- if or $store.servers $store.user $store.name $store.password.existingSecret $store.password.value $store.tls.enabled }}
- store: memory has no servers, user, name, password or tls
{{- end }}
{{- if or (ne .Values.kind "Deployment") .Values.autoscaling.enabled (gt (int .Values.replicaCount) 1) }}
- store.type memory: each pod would accept a token once; set kind Deployment, replicaCount 1 and no autoscaling, or take another store
{{- end }}
{{- if and .Values.updateStrategy (ne (toString .Values.updateStrategy.type) "Recreate") }}
- updateStrategy: with the memory store an old and a new pod beside each other would each accept a token; take Recreate
{{- end }}
{{- if and .Values.issuer.enabled (gt (int .Values.issuer.replicaCount) 1) }}
- issuer.replicaCount: with the memory store each issuer would accept an assertion or a proof once; take 1, or another store
{{- end }}
{{- else }}
{{- if and (has $store.type (list "standalone" "postgresql")) (ne $count 1) }}
- store.servers: {{ $store.type }} has one server, not {{ $count }}
{{- else if and (eq $store.type "quorum") (not (has $count (list 3 5))) }}
- store.servers: a quorum has 3 or 5 servers, not {{ $count }}
{{- else if eq $count 0 }}
- store.servers: required
{{- end }}
{{- if and (has $store.type (list "sentinel" "postgresql")) (not $store.name) }}
- store.name: required; {{ ternary "the primary's name as the sentinels know it" "the database" (eq $store.type "sentinel") }}
{{- else if and $store.name (not (has $store.type (list "sentinel" "postgresql"))) }}
- store.name: {{ $store.type }} has none; it is for sentinel and postgresql
{{- end }}
{{- if and $store.database (has $store.type (list "cluster" "postgresql")) }}
- store.database: {{ $store.type }} has no numbered databases
{{- end }}
{{- if and $store.sentinelPassword.existingSecret (ne $store.type "sentinel") }}
- store.sentinelPassword: only sentinel has one
{{- end }}
{{- if and (or $store.wait $store.replicas) (or (not $redis) (eq $store.type "quorum")) }}
- store.wait: {{ $store.type }} has no replicas to wait for
{{- end }}
{{- if and $store.password.existingSecret $store.password.value }}
- store.password: one of existingSecret and value
{{- end }}
{{- $files := or $store.tls.ca.secret $store.tls.ca.configMap $store.tls.clientSecret }}
{{- if and $files (not $store.tls.enabled) }}
- store.tls.enabled: it is off, and its files would be ignored
{{- end }}
{{- if and $store.tls.enabled (eq $store.type "postgresql") (not (or $store.tls.ca.secret $store.tls.ca.configMap)) }}
- store.tls.ca: required; PostgreSQL is spoken to over TLS only where its authority is named
{{- end }}
{{- end }}
{{- if and $store.tls.ca.secret $store.tls.ca.configMap }}
- store.tls.ca: one of secret and configMap
{{- end }}
{{- end -}}

{{- /* Everything of this release that names a store, whatever `kind` was before: a list of [apiVersion, kind, name]. */ -}}
{{- define "ott.storeHolders" -}}
{{- $name := include "ott.fullname" . -}}
- [apps/v1, Deployment, {{ include "ott.suffixed" (dict "root" $ "suffix" "issuer") | quote }}]
- [apps/v1, Deployment, {{ $name | quote }}]
- [apps/v1, DaemonSet, {{ $name | quote }}]
- [v1, ConfigMap, {{ include "ott.suffixed" (dict "root" $ "suffix" "sidecar") | quote }}]
{{- end -}}

{{- /* What runs now is asked for where Helm has a cluster to ask; a rendering for others knows of none. */ -}}
{{- define "ott.mistakesOfStoreChange" -}}
{{- range include "ott.storeHolders" . | fromYamlArray }}
{{- $before := lookup (index . 0) (index . 1) (include "ott.namespace" $) (index . 2) -}}
{{- include "ott.storeChange" (dict "root" $ "before" (default dict $before) "kind" (index . 1) "name" (index . 2)) }}
{{- end -}}
{{- end -}}

{{- /* (dict "root" $ "before" object "kind" … "name" …): two pods that look into two lists let a token through twice. What
       stays a Deployment can be ended before its successor begins; all else Helm replaces while it runs. */ -}}
{{- define "ott.storeChange" -}}
{{- $was := dig "metadata" "annotations" "ott-extauthz/store" "" .before -}}
{{- $is := include "ott.storePlace" .root -}}
{{- $isIssuer := ne .name (include "ott.fullname" .root) -}}
{{- $stays := and (eq .kind "Deployment") (or $isIssuer (eq .root.Values.kind "Deployment")) -}}
{{- if and $was (ne $was $is) }}
{{- $told := printf "%s %s uses %s now, and these values %s" .kind .name $was $is -}}
{{- if not $stays }}
- store: {{ $told }}: old and new pods beside each other would each let a token through. {{ ternary "End the pods that have this sidecar and delete the ConfigMap" "Delete it" (eq .kind "ConfigMap") }} first; see docs/stores.md, rolling update
{{- else if ne (toString .root.Values.updateStrategy.type) "Recreate" }}
- store: {{ $told }}: pods replaced one by one would each let a token through. Install this change with updateStrategy.type Recreate; see docs/stores.md, rolling update
{{- end }}
{{- end }}
{{- end -}}

{{- define "ott.mistakesOfProviderChange" -}}
{{- if and .Values.istio.enabled (.Capabilities.APIVersions.Has "security.istio.io/v1") }}
{{- range .Values.istio.targets }}
{{- $before := lookup "security.istio.io/v1" "AuthorizationPolicy" .namespace (include "ott.istio.name" (dict "root" $ "target" .)) -}}
{{- include "ott.providerChange" (dict "root" $ "before" (default dict $before)) }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* (dict "root" $ "before" object): a default that changed would have Istio refuse every call. Whoever names a provider
       means it. */ -}}
{{- define "ott.providerChange" -}}
{{- $was := dig "spec" "provider" "name" "" .before | trimSuffix "-no-body" -}}
{{- $is := include "ott.istio.providerName" .root -}}
{{- if and $was (ne $was $is) (not .root.Values.istio.provider) }}
- istio.provider: AuthorizationPolicy {{ .before.metadata.name }} names {{ $was }} now, and these values {{ $is }}: until the mesh has that one Istio refuses every call. Keep the old name by istio.provider: {{ $was }}; or add the new provider to the mesh, and then set istio.provider: {{ $is }}
{{- end }}
{{- end -}}

{{- define "ott.mistakesOfPods" -}}
{{- if eq .Values.kind "Sidecar" }}
{{- range $key := list "podAnnotations" "podLabels" "nodeSelector" "tolerations" "affinity" "priorityClassName" "runtimeClassName" }}
{{- if get $.Values $key }}
- {{ $key }}: with kind Sidecar the pod is Envoy's; say it in Envoy's own workload
{{- end }}
{{- end }}
{{- if and .Values.sidecar.native (semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version) }}
- sidecar.native: Kubernetes {{ .Capabilities.KubeVersion.Version }} would wait for this init container to end, which it never does; it needs 1.29. Set it false
{{- end }}
{{- range concat .Values.extraContainers .Values.extraInitContainers }}
{{- if eq (toString .name) $.Values.sidecar.envoyContainer }}
- extraContainers: {{ .name }} is Envoy's own container, which the patch would change
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.autoscaling.enabled (ne .Values.kind "Deployment") }}
- autoscaling: for kind Deployment only
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
- autoscaling.minReplicas: is more than maxReplicas
{{- end }}
{{- $cpu := or (dig "requests" "cpu" "" .Values.resources) (dig "limits" "cpu" "" .Values.resources) }}
{{- if and .Values.autoscaling.enabled .Values.autoscaling.targetCPUUtilizationPercentage (not $cpu) }}
- resources.requests.cpu: required; autoscaling aims at a share of it, and never scales without it
{{- end }}
{{- if and .Values.autoscaling.enabled (not .Values.autoscaling.targetCPUUtilizationPercentage) (not .Values.autoscaling.metrics) }}
- autoscaling: scales by nothing; set targetCPUUtilizationPercentage or metrics
{{- end }}
{{- $pods := or .Values.autoscaling.enabled (ne .Values.kind "Deployment") (gt (int .Values.replicaCount) 1) (and .Values.issuer.enabled (gt (int .Values.issuer.replicaCount) 1)) }}
{{- if and .Values.audit.enabled (eq .Values.audit.volume "persistentVolumeClaim") $pods (not (has "ReadWriteMany" .Values.audit.accessModes)) }}
- audit.accessModes: several pods write, which needs ReadWriteMany
{{- end }}
{{- if and .Values.audit.enabled (eq .Values.audit.volume "persistentVolumeClaim") (eq .Values.kind "Sidecar") }}
- audit.volume: the claim would be in this release's namespace, and not Envoy's; take emptyDir or existingClaim
{{- end }}
{{- if and .Values.audit.rotate (eq .Values.audit.volume "stdout") }}
- audit.rotate: is for files, and audit.volume stdout has none
{{- end }}
{{- if and (eq .Values.audit.volume "existingClaim") (not .Values.audit.existingClaim) }}
- audit.existingClaim: required for audit.volume existingClaim
{{- end }}
{{- if le (include "ott.grace" . | int) (include "ott.leaving" . | int) }}
- terminationGracePeriodSeconds: preStop and config.drain take {{ include "ott.leaving" . }} s, and a pod that is killed earlier fails its calls
{{- end }}
{{- if and .Values.networkPolicy.enabled (ne .Values.kind "Sidecar") (not .Values.networkPolicy.envoys) }}
- networkPolicy.envoys: required, the peers whose Envoys may call Check, like [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: gateways}}}]; whoever may call it may burn tokens. Or networkPolicy.enabled false
{{- end }}
{{- end -}}

{{- /* How pods make room for others: rollouts and drained nodes. */ -}}
{{- define "ott.mistakesOfReplacing" -}}
{{- $strategy := toString .Values.updateStrategy.type -}}
{{- if and (eq .Values.kind "DaemonSet") (eq $strategy "Recreate") }}
- updateStrategy.type: a DaemonSet has RollingUpdate and OnDelete
{{- else if and (eq .Values.kind "Deployment") (eq $strategy "OnDelete") }}
- updateStrategy.type: a Deployment has RollingUpdate and Recreate
{{- end }}
{{- $recreated := or (eq $strategy "Recreate") (eq .Values.store.type "memory") -}}
{{- if and .Values.audit.enabled (eq .Values.audit.volume "persistentVolumeClaim") (not (has "ReadWriteMany" .Values.audit.accessModes)) (not $recreated) }}
- audit.accessModes: a new pod waits for the disk that the old one has, and that one leaves only once the new one is ready; take ReadWriteMany, or updateStrategy.type Recreate
{{- end }}
{{- $pods := ternary .Values.autoscaling.minReplicas .Values.replicaCount .Values.autoscaling.enabled -}}
{{- if eq .Values.kind "Deployment" }}
{{- include "ott.mistakesOfBudget" (dict "budget" .Values.podDisruptionBudget "pods" $pods "place" "podDisruptionBudget") }}
{{- end }}
{{- if .Values.issuer.enabled }}
{{- include "ott.mistakesOfBudget" (dict "budget" .Values.issuer.podDisruptionBudget "pods" .Values.issuer.replicaCount "place" "issuer.podDisruptionBudget") }}
{{- end }}
{{- end -}}

{{- /* (dict "budget" … "pods" 2 "place" …). */ -}}
{{- define "ott.mistakesOfBudget" -}}
{{- $max := toString .budget.maxUnavailable -}}
{{- $min := .budget.minAvailable -}}
{{- if .budget.enabled }}
{{- if and (kindIs "invalid" $min) (kindIs "invalid" .budget.maxUnavailable) }}
- {{ .place }}: one of maxUnavailable and minAvailable
{{- else if kindIs "invalid" $min }}
{{- if has $max (list "0" "0%") }}
- {{ .place }}.maxUnavailable: no node could ever be drained
{{- end }}
{{- else if or (eq (toString $min) "100%") (and (not (kindIs "string" $min)) (gt (int $min) 0) (ge (int $min) (int .pods))) }}
- {{ .place }}.minAvailable: of {{ int .pods }} pods none may be away, so no node could ever be drained
{{- end }}
{{- end }}
{{- end -}}

{{- /* Who could call Check from where, and in which language. */ -}}
{{- define "ott.mistakesOfReach" -}}
{{- $isSaid := or (has "IPv6" .Values.service.ipFamilies) (hasSuffix "DualStack" .Values.service.ipFamilyPolicy) -}}
{{- if and $isSaid (ne .Values.kind "Sidecar") (regexMatch "^[0-9.]+$" .Values.listen.host) }}
- listen.host: {{ .Values.listen.host }} is IPv4 alone, and service.ipFamilies, ipFamilyPolicy speak of IPv6; take "[::]", which is both
{{- end }}
{{- if and .Values.envoyGateway.backendTls.ca.configMap .Values.envoyGateway.backendTls.ca.secret }}
- envoyGateway.backendTls.ca: one of secret and configMap
{{- end }}
{{- if and (ne .Values.service.type "ClusterIP") (ne .Values.kind "Sidecar") (not (and .Values.tls.enabled .Values.tls.clientAuth)) }}
- service.type: {{ .Values.service.type }} lets callers outside the cluster try; set tls.enabled, and leave tls.clientAuth on
{{- end }}
{{- if and .Values.istio.enabled .Values.tls.enabled (or .Values.istio.mutualTls .Values.istio.destinationRule) }}
- tls.enabled: in a mesh its proxies speak TLS with each other, and nothing but the clear to this server. Set tls.enabled false; or, outside the mesh, istio.mutualTls and istio.destinationRule false, with a DestinationRule of your own that names Envoy's certificate
{{- end }}
{{- end -}}

{{- /* What would find nothing to scrape, and say nothing of it. */ -}}
{{- define "ott.mistakesOfMonitoring" -}}
{{- $metrics := .Values.metrics -}}
{{- $isSidecar := eq .Values.kind "Sidecar" -}}
{{- if and $metrics.serviceMonitor.enabled (or $isSidecar (not .Values.adminService.enabled)) }}
- metrics.serviceMonitor: there is no Service for metrics ({{ ternary "kind Sidecar" "adminService.enabled" $isSidecar }}); take podMonitor
{{- end }}
{{- if and $metrics.podMonitor.enabled $isSidecar (not $metrics.podMonitor.selector) }}
- metrics.podMonitor.selector: required with kind Sidecar, the labels of Envoy's pods
{{- end }}
{{- range $name := list "serviceMonitor" "podMonitor" }}
{{- $one := get $metrics $name }}
{{- if gt (include "ott.seconds" (dict "text" $one.scrapeTimeout "default" 10) | int) (include "ott.seconds" (dict "text" $one.interval "default" 30) | int) }}
- metrics.{{ $name }}.scrapeTimeout: is longer than interval, which the operator refuses
{{- end }}
{{- end }}
{{- end -}}

{{- /* Variables count more than ott.yaml: one could put a memory store behind the back of what was judged here. */ -}}
{{- define "ott.mistakesOfVariables" -}}
{{- range concat .Values.extraEnv .Values.issuer.extraEnv }}
{{- if regexMatch "^OTT_(LISTEN|STORE|TRUST|POLICY|SHADOW_POLICY|AUDIT|ISSUER|CLIENT_CERTIFICATE|DRAIN)(__.*)?$" .name }}
- extraEnv: {{ .name }} would replace what the chart writes and has judged; set the value instead
{{- else if contains "accept the risk" (toString .value) }}
- extraEnv: {{ .name }} says `accept the risk`; say so in config, where it is seen
{{- end }}
{{- end }}
{{- end -}}

{{- define "ott.mistakesOfTls" -}}
{{- if .Values.tls.enabled }}
{{- if eq .Values.kind "Sidecar" }}
- tls: a sidecar listens on a Unix socket, which has none
{{- else }}
{{- include "ott.mistakesOfCertificate" (dict "tls" .Values.tls "place" "tls") }}
{{- end }}
{{- if eq .Values.listen.transport "native" }}
- listen.transport: native serves no TLS; take auto or grpcio
{{- end }}
{{- end }}
{{- $grpcless := or .Values.tls.enabled (eq .Values.kind "Sidecar") }}
{{- range $name, $probe := .Values.probes }}
{{- if and $grpcless (eq $probe.handler "grpc") }}
- probes.{{ $name }}.handler: the kubelet speaks gRPC over TCP in the clear only; take http or auto
{{- end }}
{{- end }}
{{- end -}}

{{- define "ott.mistakesOfCertificate" -}}
{{- if and .tls.existingSecret .tls.certManager.enabled }}
- {{ .place }}: one of existingSecret and certManager
{{- else if not (or .tls.existingSecret .tls.certManager.enabled) }}
- {{ .place }}.existingSecret: required, or {{ .place }}.certManager
{{- end }}
{{- if and .tls.certManager.enabled (not .tls.certManager.issuerRef.name) }}
- {{ .place }}.certManager.issuerRef: required
{{- end }}
{{- if and .tls.clientCa.secret .tls.clientCa.configMap }}
- {{ .place }}.clientCa: one of secret and configMap
{{- end }}
{{- end -}}

{{- define "ott.mistakesOfSecrets" -}}
{{- range $name, $entry := .Values.secrets }}
{{- if eq (empty $entry.existingSecret) (empty $entry.files) }}
- secrets.{{ $name }}: one of existingSecret and files
{{- end }}
{{- if and $entry.files (has $name (list "store" "tls" "issuer-tls")) }}
- secrets.{{ $name }}: the chart has a Secret of that name; choose another
{{- end }}
{{- end }}
{{- end -}}

{{- define "ott.mistakesOfIssuer" -}}
{{- $issuer := .Values.issuer -}}
{{- if not $issuer.url }}
- issuer.url: required, the iss of its tokens
{{- end }}
{{- if hasKey $issuer.rings "default" }}
- issuer.rings.default: is the ring of issuer.keys; choose another name
{{- end }}
{{- $ways := len (without (list $issuer.keys.existingSecret $issuer.keys.vault $issuer.keys.awsKms | compact) nil) }}
{{- if eq $ways 0 }}
- issuer.keys.existingSecret: required, the Secret with the key directory (`ott-extauthz keys init` makes one), or issuer.keys.vault or .awsKms. The chart makes no signing keys: whoever renders it would have them
{{- else if gt $ways 1 }}
- issuer.keys: one of existingSecret, vault and awsKms
{{- end }}
{{- if eq (kindIs "invalid" $issuer.clients.inline) (empty $issuer.clients.existingConfigMap) }}
- issuer.clients: required, one of inline and existingConfigMap
{{- end }}
{{- include "ott.mistakesOfCertificate" (dict "tls" $issuer.tls "place" "issuer.tls") }}
{{- if and $issuer.grpc.enabled (not $issuer.tls.clientAuth) }}
- issuer.grpc: who asks there is known by a certificate alone; set issuer.tls.clientAuth
{{- end }}
{{- if and (eq $issuer.trusted.source "secret") (or (not $issuer.keys.existingSecret) $issuer.rings) }}
- issuer.trusted.source: secret has the keys of issuer.keys.existingSecret alone; take https
{{- end }}
{{- range $key := list "url" "listen" "admin" "grpc" "keys" "rings" "passphrase_file" "read_only" "clients" "tls" }}
{{- if hasKey $issuer.config $key }}
- issuer.config.{{ $key }}: the chart writes it
{{- end }}
{{- end }}
{{- end -}}

{{- /* Settings that say `accept the risk` and are not among acceptedRisks: a copied file must not weaken by accident. */ -}}
{{- define "ott.risks" -}}
{{- $text := "" -}}
{{- range list .Values.config .Values.trust .Values.policy .Values.shadowPolicy .Values.issuer.config .Values.issuer.clients .Values.secrets }}
{{- $text = printf "%s\n%s\n%s" $text (toYaml .) (include "ott.texts" .) }}
{{- end }}
{{- $found := list -}}
{{- range regexFindAll "[A-Za-z_]+[\"']?\\s*:\\s*[\"']?accept the risk" $text -1 }}
{{- $found = append $found (regexFind "^[A-Za-z_]+" .) }}
{{- end }}
{{- range $key := uniq $found | sortAlpha }}
{{- if not (has $key $.Values.acceptedRisks) }}
- acceptedRisks: {{ $key }} says `accept the risk`; name it there, if that is meant
{{- end }}
{{- end }}
{{- end -}}

{{- /* The texts among a map's values, as they are: toYaml folds long ones. */ -}}
{{- define "ott.texts" -}}
{{- if kindIs "map" . }}
{{- range . }}{{ include "ott.texts" . }}{{ end }}
{{- else if kindIs "string" . }}
{{ . }}
{{- end }}
{{- end -}}

{{- /* What installs, and should be known: a line for each, for NOTES.txt. */ -}}
{{- define "ott.warnings" -}}
{{- if eq .Values.store.type "memory" }}
- store.type memory: a restart forgets what was spent; tokens minted before it are refused. For trying only
{{- end }}
{{- if and .Values.audit.enabled (eq .Values.audit.volume "emptyDir") }}
- audit.volume emptyDir: the audit ends with its pod, and a pod that writes more than {{ .Values.audit.sizeLimit }} is evicted; ship it (extraContainers), or take a claim
{{- end }}
{{- if not .Values.audit.enabled }}
- audit: off; nobody will know what was decided
{{- end }}
{{- if and (not .Values.networkPolicy.enabled) (ne .Values.kind "Sidecar") }}
- networkPolicy: off; every pod may call Check, burn tokens and ask what is let through
{{- end }}
{{- if and .Values.istio.enabled .Values.istio.ambient .Values.networkPolicy.prometheus (not .Values.istio.callers) }}
- istio.callers: empty; in a tunnel a NetworkPolicy sees no ports, so that whoever may scrape may call Check as well
{{- end }}
{{- if and .Values.tls.enabled .Values.tls.clientAuth (not (or .Values.tls.clientCa.secret .Values.tls.clientCa.configMap)) }}
- tls.clientCa: not set; whoever has a certificate of the authority that signed the server's own counts as an Envoy
{{- end }}
{{- if .Values.store.password.value }}
- store.password.value: stands in the release's values; take store.password.existingSecret
{{- end }}
{{- with .Values.acceptedRisks }}
- acceptedRisks: {{ join ", " . }}
{{- end }}
{{- end -}}
