{{/* Who is believed besides Modelward's own tokens, as the file of identities; empty: nobody. */}}
{{- define "modelward.identities" -}}
{{- $issuers := .Values.identity.issuers -}}
{{- with .Values.identity.kubernetes -}}
{{- if .issuer -}}
{{- $rules := list -}}
{{- range .accounts -}}
{{- $rules = append $rules (dict "claim" "sub" "value" (printf "system:serviceaccount:%s:%s" .namespace .name) "roles" .roles) -}}
{{- end -}}
{{- /* Kubernetes tells its keys to whoever has a token of a service account. */}}
{{- $keys := dict "jwks_url" "https://kubernetes.default.svc/openid/v1/jwks" "ca_file" "/etc/modelward/cluster/ca.crt" "token_file" "/etc/modelward/cluster/token" -}}
{{- $issuers = prepend $issuers (merge (dict "name" "kubernetes" "issuer" .issuer "audiences" .audiences "rule" $rules) $keys) -}}
{{- end -}}
{{- end -}}
{{- $file := dict -}}
{{- with $issuers }}{{ $_ := set $file "issuer" . }}{{ end -}}
{{- with .Values.identity.certificates }}{{ $_ := set $file "certificate" . }}{{ end -}}
{{- with $file }}{{ toToml . }}{{ end -}}
{{- end -}}
