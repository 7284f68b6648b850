{{/*
Where a service's state is, and what follows from it. State in memory cannot be shared: a second pod
would be a second queue, a cache that misses invalidations, a history with gaps.
*/}}

{{/* "memory", "shared" or "none". */}}
{{- define "slipstream.state" -}}
{{- if hasKey .workload "redisUrl" -}}
{{- .workload.redisUrl.existingSecret | empty | ternary "memory" "shared" -}}
{{- else -}}
{{- eq .name "monitoring" | ternary "memory" "none" -}}
{{- end -}}
{{- end -}}

{{/* Most pods that the values can lead to. */}}
{{- define "slipstream.mostReplicas" -}}
{{- $scaling := .workload.autoscaling -}}
{{- $scaling.enabled | ternary $scaling.maxReplicas .workload.replicas | int -}}
{{- end -}}

{{/* A folder or a state that two pods must not hold at once: the old pod ends before the new one starts. */}}
{{- define "slipstream.strategy" -}}
{{- $claim := dig "artifacts" "persistence" "enabled" false .workload -}}
{{- $many := eq (dig "artifacts" "persistence" "accessMode" "" .workload) "ReadWriteMany" -}}
{{- if or (eq (include "slipstream.state" .) "memory") (and $claim (not $many)) -}}
type: Recreate
{{- else -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: 1
  maxUnavailable: 0
{{- end -}}
{{- end -}}

{{/* Fails with what to do when the values cannot work. */}}
{{- define "slipstream.checkWorkload" -}}
{{- $scaling := .workload.autoscaling -}}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- fail (printf "services.%s.autoscaling: minReplicas is %d; allowed: at most maxReplicas, which is %d" .name (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- $most := include "slipstream.mostReplicas" . | int -}}
{{- if and (gt $most 1) (eq (include "slipstream.state" .) "memory") -}}
{{- if hasKey .workload "redisUrl" -}}
{{- fail (printf "services.%s: %d replicas, but its state is in the memory of one pod. Name a Secret with a Redis URL in services.%s.redisUrl.existingSecret, or keep replicas at 1 and autoscaling off" .name $most .name) -}}
{{- else -}}
{{- fail (printf "services.%s: %d replicas, but it keeps its aggregates in the memory of one pod and raises each alert once. Keep replicas at 1 and autoscaling off" .name $most) -}}
{{- end -}}
{{- end -}}
{{- range $kind := list "requests" "limits" -}}
{{- if not (hasKey $.workload.resources $kind) -}}
{{- fail (printf "services.%s.resources.%s is missing" $.name $kind) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "slipstream.checkAuth" -}}
{{- $auth := .Values.auth -}}
{{- if not (or $auth.hs256.existingSecret $auth.jwks.existingSecret) -}}
{{- fail "auth: no key, so no token would be valid. Name a Secret in auth.hs256.existingSecret or auth.jwks.existingSecret" -}}
{{- end -}}
{{- if not (or $auth.hs256.existingSecret $auth.serviceToken.existingSecret) -}}
{{- fail "auth: without an HS256 secret the services cannot sign tokens for their own calls. Name a Secret with a token of the role `service` in auth.serviceToken.existingSecret" -}}
{{- end -}}
{{- end -}}
