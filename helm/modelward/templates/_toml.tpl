{{/* The settings of the server. Nothing in it is secret. */}}
{{- define "modelward.toml" -}}
data_dir = "/var/lib/modelward"
listen = "0.0.0.0:50051"
ops_listen = "0.0.0.0:9090"
{{- if .Values.masterKeys.existingSecret }}
master_key_file = "/etc/modelward/keys/master.key"
{{- end }}
{{- if .Values.bootstrapToken.existingSecret }}
bootstrap_token_file = "/etc/modelward/bootstrap/token"
{{- end }}
{{- if include "modelward.tlsSecret" . }}
tls.cert_file = "/etc/modelward/tls/tls.crt"
tls.key_file = "/etc/modelward/tls/tls.key"
{{- end }}
{{- if ne .Values.tls.clientAuth "off" }}
tls.client_auth = {{ .Values.tls.clientAuth | quote }}
tls.client_ca_file = "/etc/modelward/clients/ca.crt"
{{- end }}
{{- if include "modelward.identities" . }}
identity.file = "/etc/modelward/config/identity.toml"
{{- end }}
{{- with .Values.logFilter }}
log.level = {{ . | quote }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{ $name }} = {{ toJson $value }}
{{- end }}
{{ end -}}
