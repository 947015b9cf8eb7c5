{{- define "modelward.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "modelward.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "modelward.labels" -}}
{{ include "modelward.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Values that would start nothing, or something unsafe, with what to do about it. */}}
{{- define "modelward.check" -}}
{{- if .Values.database.existingSecret -}}
{{- if not .Values.masterKeys.existingSecret -}}
{{- fail "PostgreSQL needs masterKeys.existingSecret: every replica must read the same keys; `modelward keys generate` prints one" -}}
{{- end -}}
{{- if not .Values.bootstrapToken.existingSecret -}}
{{- fail "PostgreSQL needs bootstrapToken.existingSecret: there is no volume to keep a made one; `modelward token generate` prints one" -}}
{{- end -}}
{{- else if gt (int .Values.replicaCount) 1 -}}
{{- fail "replicaCount above 1 needs PostgreSQL: set database.existingSecret" -}}
{{- end -}}
{{- range $name := list "database.url" "master_keys" -}}
{{- if hasKey $.Values.settings $name -}}
{{- fail (printf "settings.%s would put a secret into a ConfigMap: use the secret references" $name) -}}
{{- end -}}
{{- end -}}
{{- range $name := list "data_dir" "listen" "ops_listen" "master_key_file" "bootstrap_token_file" "tls.cert_file" "tls.key_file" -}}
{{- if hasKey $.Values.settings $name -}}
{{- fail (printf "settings.%s is set by the chart itself" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
