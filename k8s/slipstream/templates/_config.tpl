{{/* Text format of a message given as a map; enum values are written bare, as text format wants. */}}
{{- define "slipstream.textproto" -}}
{{- range $field, $value := . -}}
{{- $values := kindIs "slice" $value | ternary $value (list $value) -}}
{{- range $item := $values -}}
{{- if kindIs "map" $item -}}
{{- if $item -}}
{{- printf "%s {\n%s\n}\n" $field (include "slipstream.textproto" $item | trimSuffix "\n" | indent 2) -}}
{{- end -}}
{{- else if kindIs "bool" $item -}}
{{- printf "%s: %t\n" $field $item -}}
{{- else if not (kindIs "string" $item) -}}
{{- /* Numbers of a values file arrive as floating point. */ -}}
{{- printf "%s: %d\n" $field (int64 $item) -}}
{{- else if has $field (list "level" "format") -}}
{{- printf "%s: %s\n" $field $item -}}
{{- else -}}
{{- printf "%s: %s\n" $field ($item | quote) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What a service's pods read: the shared sections, its own, and what the chart knows itself. */}}
{{- define "slipstream.config" -}}
{{- $values := deepCopy .root.Values.config -}}
{{- $config := pick $values "audit" "auth" "logging" "rpc" "runtime" .name -}}

{{- $auth := get $config "auth" | default dict -}}
{{- with .root.Values.auth -}}
{{- if .hs256.existingSecret -}}{{- $_ := set $auth "hs256_secret_file" "/etc/slipstream/auth/hs256-secret" -}}{{- end -}}
{{- if .jwks.existingSecret -}}{{- $_ := set $auth "jwks_files" (list "/etc/slipstream/auth/jwks.json") -}}{{- end -}}
{{- if .serviceToken.existingSecret -}}{{- $_ := set $auth "service_token_file" "/etc/slipstream/auth/service-token" -}}{{- end -}}
{{- end -}}
{{- $_ := set $config "auth" $auth -}}

{{- $endpoints := get $values "endpoints" | default dict -}}
{{- range $name, $service := .root.Values.services -}}
{{- $key := printf "%s_address" $name -}}
{{- if not (hasKey $endpoints $key) -}}
{{- $host := include "slipstream.objectName" (dict "root" $.root "name" $name) -}}
{{- $_ := set $endpoints $key (printf "dns:///%s.%s.svc:%d" $host $.root.Release.Namespace (int $service.ports.grpc)) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $config "endpoints" $endpoints -}}

{{- /* The default addresses are loopback, where neither a probe nor another pod arrives. */ -}}
{{- $own := get $config .name | default dict -}}
{{- $ports := .workload.ports -}}
{{- $_ := set $own "grpc_address" (printf "0.0.0.0:%d" (int $ports.grpc)) -}}
{{- $_ := set $own (hasKey $ports "http" | ternary "admin_http_address" "http_address") (printf "0.0.0.0:%d" (int $ports.metrics)) -}}
{{- if hasKey $ports "http" -}}
{{- $_ := set $own "http_address" (printf "0.0.0.0:%d" (int $ports.http)) -}}
{{- end -}}
{{- if hasKey .workload "artifacts" -}}
{{- $artifact := get $own "artifact" | default dict -}}
{{- $_ := set $artifact "directory" "/var/lib/slipstream/artifacts" -}}
{{- $_ := set $own "artifact" $artifact -}}
{{- end -}}
{{- $_ := set $config .name $own -}}

{{- include "slipstream.textproto" $config -}}
{{- end -}}

{{/* preStop, then the drain, then a margin; a worker's tasks may drain longer than its calls. */}}
{{- define "slipstream.terminationSeconds" -}}
{{- $config := .root.Values.config -}}
{{- $drain := dig "rpc" "drain_grace_ms" 15000 $config | int64 -}}
{{- if eq .name "worker" -}}
{{- $drain = max $drain (dig "worker" "drain_ms" 10000 $config | int64) -}}
{{- end -}}
{{- add (int .workload.preStopSleepSeconds) (div (add $drain 999) 1000) (int .workload.terminationMarginSeconds) -}}
{{- end -}}
