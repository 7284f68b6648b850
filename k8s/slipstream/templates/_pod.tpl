{{/* The pod of a workload. */}}
{{- define "slipstream.pod" -}}
metadata:
  labels:
    {{- /* Without the chart's version: a new chart that changes no pod restarts none. */}}
    {{- include "slipstream.selector" . | nindent 4 }}
    {{- with .root.Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with .workload.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A changed configuration is a changed pod; a changed Secret is read again by the running one.
    checksum/config: {{ include "slipstream.config" . | sha256sum }}
    {{- if .workload.scrapeAnnotations }}
    prometheus.io/scrape: "true"
    prometheus.io/port: {{ int .workload.ports.metrics | quote }}
    prometheus.io/path: /metrics
    {{- end }}
    {{- with .workload.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "slipstream.serviceAccountName" . }}
  automountServiceAccountToken: false
  # Kubernetes would add SLIPSTREAM_..._PORT variables for each Service of a release of this name.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "slipstream.terminationSeconds" . }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ int .workload.podSecurityContext.runAsUser }}
    runAsGroup: {{ int .workload.podSecurityContext.runAsGroup }}
    fsGroup: {{ int .workload.podSecurityContext.fsGroup }}
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .workload.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .workload.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .workload.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .workload.topologySpread.enabled }}
  topologySpreadConstraints:
    {{- range .workload.topologySpread.topologyKeys }}
    - topologyKey: {{ . }}
      maxSkew: {{ int $.workload.topologySpread.maxSkew }}
      whenUnsatisfiable: {{ $.workload.topologySpread.whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "slipstream.selector" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .name | replace "_" "-" }}
      image: {{ include "slipstream.image" . }}
      imagePullPolicy: {{ .workload.image.pullPolicy }}
      args: [--config=/etc/slipstream/config/slipstream.textproto]
      {{- include "slipstream.environment" . | nindent 6 }}
      ports:
        {{- range $port, $number := .workload.ports }}
        - name: {{ $port }}
          containerPort: {{ int $number }}
        {{- end }}
      {{- range $probe, $times := .workload.probes }}
      {{ $probe }}Probe:
        grpc:
          port: {{ int $.workload.ports.grpc }}
        periodSeconds: {{ int $times.periodSeconds }}
        timeoutSeconds: {{ int $times.timeoutSeconds }}
        failureThreshold: {{ int $times.failureThreshold }}
      {{- end }}
      {{- if gt (int .workload.preStopSleepSeconds) 0 }}
      lifecycle:
        preStop:
          exec:
            command: [sleep, {{ int .workload.preStopSleepSeconds | quote }}]
      {{- end }}
      resources:
        {{- toYaml .workload.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        privileged: false
        readOnlyRootFilesystem: true
        runAsNonRoot: true
        capabilities:
          drop: [ALL]
        seccompProfile:
          type: RuntimeDefault
      volumeMounts:
        - name: config
          mountPath: /etc/slipstream/config
          readOnly: true
        - name: auth
          mountPath: /etc/slipstream/auth
          readOnly: true
        - name: tmp
          mountPath: /tmp
        {{- if hasKey .workload "artifacts" }}
        - name: artifacts
          mountPath: /var/lib/slipstream
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "slipstream.objectName" . }}
    - name: auth
      projected:
        defaultMode: 0440
        sources:
          {{- $files := dict "hs256" "hs256-secret" "jwks" "jwks.json" "serviceToken" "service-token" }}
          {{- range $use, $file := $files }}
          {{- $reference := get $.root.Values.auth $use }}
          {{- if $reference.existingSecret }}
          - secret:
              name: {{ $reference.existingSecret }}
              items:
                - key: {{ $reference.key | quote }}
                  path: {{ $file }}
          {{- end }}
          {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: {{ .workload.tmpSizeLimit }}
    {{- with .workload.artifacts }}
    - name: artifacts
      {{- if .persistence.enabled }}
      persistentVolumeClaim:
        claimName: {{ default (printf "%s-artifacts" (include "slipstream.objectName" $)) .persistence.existingClaim }}
      {{- else }}
      emptyDir:
        sizeLimit: {{ .sizeLimit }}
      {{- end }}
    {{- end }}
{{- end -}}

{{/* Store URLs carry passwords, so they come from Secrets, under the settings' environment names. */}}
{{- define "slipstream.environment" -}}
env:
  - name: HOME
    value: /tmp
  {{- range $setting := list "redisUrl" "postgresUrl" }}
  {{- $reference := get $.workload $setting | default dict }}
  {{- if $reference.existingSecret }}
  - name: SLIPSTREAM_{{ upper $.name }}_{{ snakecase $setting | upper }}
    valueFrom:
      secretKeyRef:
        name: {{ $reference.existingSecret }}
        key: {{ $reference.key | quote }}
  {{- end }}
  {{- end }}
{{- end -}}
