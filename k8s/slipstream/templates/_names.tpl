{{/*
Names and labels. All templates but this one take a dict: root (the chart's context), name (key of
.Values.services), workload (that service's values over the defaults).
*/}}
{{- define "slipstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- /* The longest service name has 18 characters, and 63 is a label's limit. */ -}}
{{- $full | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "slipstream.objectName" -}}
{{- printf "%s-%s" (include "slipstream.fullname" .root) (.name | replace "_" "-") -}}
{{- end -}}

{{- define "slipstream.serviceAccountName" -}}
{{- $account := .workload.serviceAccount -}}
{{- if $account.name -}}
{{- $account.name -}}
{{- else -}}
{{- $account.create | ternary (include "slipstream.objectName" .) "default" -}}
{{- end -}}
{{- end -}}

{{- define "slipstream.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name | replace "_" "-" }}
{{- end -}}

{{- define "slipstream.labels" -}}
{{ include "slipstream.selector" . }}
app.kubernetes.io/part-of: slipstream
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Head of every object of a workload: apiVersion and kind come before, spec after. */}}
{{- define "slipstream.metadata" -}}
metadata:
  name: {{ .as | default (include "slipstream.objectName" .) }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "slipstream.labels" . | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "slipstream.image" -}}
{{- $image := .workload.image -}}
{{- $path := printf "%s/%s" $image.repository .name -}}
{{- if $image.registry -}}
{{- $path = printf "%s/%s" $image.registry $path -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $path $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $path (default .root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}
