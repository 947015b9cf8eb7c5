{{/* Names and labels. Room is left for suffixes and for what a StatefulSet adds to its own name. */}}
{{- define "modelward.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What tells these pods from all others, the pod of `helm test` among them. */}}
{{- define "modelward.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "modelward.about" -}}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{- define "modelward.labels" -}}
{{ include "modelward.selector" . }}
{{ include "modelward.about" . }}
{{- end -}}

{{/* Of objects that Prometheus's operator selects by labels. */}}
{{- define "modelward.monitoringLabels" -}}
{{- $own := include "modelward.labels" .root | fromYaml -}}
{{- toYaml (merge (dict) .labels $own) -}}
{{- end -}}

{{- define "modelward.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "modelward.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "modelward.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The secret with the server's certificate; empty: no TLS. */}}
{{- define "modelward.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{ include "modelward.fullname" . }}-tls
{{- else -}}
{{ .Values.tls.existingSecret }}
{{- end -}}
{{- end -}}

{{/* Whether the certificate has the names of the services, from an authority that its secret names too. */}}
{{- define "modelward.ownNames" -}}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.dnsNames) -}}yes{{- end -}}
{{- end -}}

{{/* The key of the authority's certificate in that secret; empty: unknown. */}}
{{- define "modelward.caKey" -}}
{{- if .Values.tls.caKey -}}
{{ .Values.tls.caKey }}
{{- else if include "modelward.ownNames" . -}}
ca.crt
{{- end -}}
{{- end -}}

{{/* The workload, as kubectl names it. */}}
{{- define "modelward.workload" -}}
{{ if .Values.database.existingSecret }}deployment{{ else }}statefulset{{ end }}/{{ include "modelward.fullname" . }}
{{- end -}}
