{{/* Values that would start nothing, or something unsafe: each is refused with what to do about it. */}}
{{- define "modelward.guards" -}}
{{- include "modelward.guardDatabase" . -}}
{{- include "modelward.guardSettings" . -}}
{{- include "modelward.guardTls" . -}}
{{- include "modelward.guardIdentity" . -}}
{{- include "modelward.guardMonitoring" . -}}
{{- end -}}

{{- define "modelward.guardDatabase" -}}
{{- if .Values.database.existingSecret -}}
{{- if not .Values.masterKeys.existingSecret -}}
{{- fail "PostgreSQL needs masterKeys.existingSecret: every replica must read the same keys; `modelward keys generate` prints one" -}}
{{- end -}}
{{- if not .Values.bootstrapToken.existingSecret -}}
{{- fail "PostgreSQL needs bootstrapToken.existingSecret: there is no volume to keep a made one; `modelward token generate` prints one" -}}
{{- end -}}
{{- if .Values.persistence.existingClaim -}}
{{- fail "persistence.existingClaim is for the embedded database: with database.existingSecret no pod has a volume; leave one of them out" -}}
{{- end -}}
{{- else if gt (int .Values.replicaCount) 1 -}}
{{- fail "replicaCount above 1 needs PostgreSQL: set database.existingSecret, or leave replicaCount at 1" -}}
{{- end -}}
{{- end -}}

{{- define "modelward.guardSettings" -}}
{{- range $name := list "database.url" "master_keys" -}}
{{- if hasKey $.Values.settings $name -}}
{{- fail (printf "settings.%s would put a secret into a ConfigMap: use database.existingSecret and masterKeys.existingSecret" $name) -}}
{{- end -}}
{{- end -}}
{{- range $name := list "data_dir" "listen" "ops_listen" "master_key_file" "bootstrap_token_file" "tls.cert_file" "tls.key_file" "tls.client_auth" "tls.client_ca_file" "identity.file" -}}
{{- if hasKey $.Values.settings $name -}}
{{- fail (printf "settings.%s is set by the chart itself: leave it out" $name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.logFilter (hasKey .Values.settings "log.level") -}}
{{- fail "logFilter and settings.log.level are two filters: choose one" -}}
{{- end -}}
{{- $limit := get .Values.settings "shutdown.hard_limit" | default "25s" -}}
{{- $unit := get (dict "s" 1 "m" 60 "h" 3600) (regexFind "[a-z]+$" $limit) | default 0 -}}
{{- $seconds := mul $unit (regexFind "^[0-9]+" $limit | int) -}}
{{- if le (int .Values.terminationGracePeriodSeconds) (int $seconds) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d: pods would be killed within their shutdown.hard_limit of %s; give more" (int .Values.terminationGracePeriodSeconds) $limit) -}}
{{- end -}}
{{- end -}}

{{- define "modelward.guardTls" -}}
{{- if .Values.tls.certManager.enabled -}}
{{- if .Values.tls.existingSecret -}}
{{- fail "tls.existingSecret and tls.certManager.enabled are two certificates: choose one" -}}
{{- end -}}
{{- if not .Values.tls.certManager.issuerRef.name -}}
{{- fail "tls.certManager.enabled needs tls.certManager.issuerRef.name: the issuer that signs the certificate" -}}
{{- end -}}
{{- end -}}
{{- if ne .Values.tls.clientAuth "off" -}}
{{- if not (include "modelward.tlsSecret" .) -}}
{{- fail "tls.clientAuth needs TLS: set tls.existingSecret or tls.certManager" -}}
{{- end -}}
{{- if not .Values.tls.clientCa.existingSecret -}}
{{- fail "tls.clientAuth needs tls.clientCa.existingSecret: the authority that clients' certificates descend from" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "modelward.guardIdentity" -}}
{{- with .Values.identity -}}
{{- if and .kubernetes.issuer (not .kubernetes.accounts) -}}
{{- fail "identity.kubernetes.issuer needs identity.kubernetes.accounts: which service accounts have which roles" -}}
{{- end -}}
{{- if and .kubernetes.accounts (not .kubernetes.issuer) -}}
{{- fail "identity.kubernetes.accounts needs identity.kubernetes.issuer: who makes their tokens" -}}
{{- end -}}
{{- if and .certificates (eq $.Values.tls.clientAuth "off") -}}
{{- fail "identity.certificates needs tls.clientAuth: nobody is asked for a certificate" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "modelward.guardMonitoring" -}}
{{- if and .Values.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.scrapers) -}}
{{- fail "serviceMonitor.enabled needs networkPolicy.scrapers: which pods are Prometheus; without it the network policy keeps them out" -}}
{{- end -}}
{{- if and .Values.prometheusRule.enabled (not .Values.serviceMonitor.enabled) -}}
{{- fail "prometheusRule.enabled needs serviceMonitor.enabled: the alerts select metrics by the labels that it adds" -}}
{{- end -}}
{{- end -}}
