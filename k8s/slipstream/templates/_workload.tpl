{{/*
All objects of one service: ConfigMap, ServiceAccount, Service, Deployment, HorizontalPodAutoscaler,
PodDisruptionBudget. Takes a dict of root and name; templates/workloads.yaml calls it for each
entry of .Values.services.
*/}}
{{- define "slipstream.workload" -}}
{{- $values := get .root.Values.services .name -}}
{{- $workload := mustMergeOverwrite (deepCopy .root.Values.defaults) (deepCopy $values) -}}
{{- $context := dict "root" .root "name" .name "workload" $workload -}}
{{- include "slipstream.checkWorkload" $context -}}
---
apiVersion: v1
kind: ConfigMap
{{ include "slipstream.metadata" $context }}
data:
  slipstream.textproto: |
    # slipstream.config.v1.Config
    {{- include "slipstream.config" $context | trimSuffix "\n" | nindent 4 }}
{{- if $workload.serviceAccount.create }}
---
apiVersion: v1
kind: ServiceAccount
{{ include "slipstream.metadata" (merge (dict "as" (include "slipstream.serviceAccountName" $context) "annotations" $workload.serviceAccount.annotations) $context) }}
automountServiceAccountToken: false
{{- end }}
---
apiVersion: v1
kind: Service
{{ include "slipstream.metadata" $context }}
spec:
  type: ClusterIP
  # Headless: callers see every pod and spread their calls over them.
  clusterIP: None
  selector:
    {{- include "slipstream.selector" $context | nindent 4 }}
  ports:
    - name: grpc
      port: {{ int $workload.ports.grpc }}
      targetPort: grpc
      appProtocol: grpc
    - name: metrics
      port: {{ int $workload.ports.metrics }}
      targetPort: metrics
      appProtocol: http
---
apiVersion: apps/v1
kind: Deployment
{{ include "slipstream.metadata" $context }}
spec:
  {{- if not $workload.autoscaling.enabled }}
  replicas: {{ int $workload.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    {{- include "slipstream.strategy" $context | nindent 4 }}
  selector:
    matchLabels:
      {{- include "slipstream.selector" $context | nindent 6 }}
  template:
    {{- include "slipstream.pod" $context | nindent 4 }}
{{- if $workload.autoscaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
{{ include "slipstream.metadata" $context }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "slipstream.objectName" $context }}
  minReplicas: {{ int $workload.autoscaling.minReplicas }}
  maxReplicas: {{ int $workload.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ int $workload.autoscaling.targetCPUUtilizationPercentage }}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: {{ int $workload.autoscaling.scaleDownStabilizationSeconds }}
{{- end }}
{{- if $workload.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
{{ include "slipstream.metadata" $context }}
spec:
  {{- $most := $workload.podDisruptionBudget.maxUnavailable }}
  maxUnavailable: {{ kindIs "string" $most | ternary $most (int $most) }}
  selector:
    matchLabels:
      {{- include "slipstream.selector" $context | nindent 6 }}
{{- end }}
{{ end -}}
