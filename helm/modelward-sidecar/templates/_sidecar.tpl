{{/*
The sidecar for the `initContainers` of a pod: it is ready before the containers start, and goes on beside them.

    {{ include "modelward.sidecar" (index .Values "modelward-sidecar") | nindent 8 }}
*/}}
{{- define "modelward.sidecar" -}}
{{- include "modelward.sidecar.guards" . -}}
- name: modelward
  image: {{ with .image }}{{ printf "%s%s" .repository (ternary (printf "@%s" .digest) (printf ":%s" .tag) (ne .digest "")) | quote }}{{ end }}
  imagePullPolicy: {{ .image.pullPolicy }}
  # With this an init container is a sidecar.
  restartPolicy: Always
  args:
    - sidecar
    - --upstream={{ .upstream }}
    - --identity-file=/var/run/modelward/identity/token
    {{- if or .ca.configMap .ca.secret }}
    - --ca-file=/var/run/modelward/identity/ca.crt
    {{- end }}
    {{- if .serveSecrets }}
    - --serve-secrets
    {{- end }}
    - --unix-socket=/run/modelward/api.sock
    - --socket-mode={{ .socketMode }}
    {{- if .localToken.existingSecret }}
    - --listen=127.0.0.1:{{ .ports.api }}
    - --local-token-file=/var/run/modelward/identity/local-token
    {{- end }}
    - --ops-listen=0.0.0.0:{{ .ports.ops }}
    - --data-dir=/var/lib/modelward
    - --cache-key-file=/var/lib/modelward/cache.key
    - --writes={{ .writes }}
    - --log-format=json
    {{- range $name, $value := .settings }}
    - {{ printf "--set=%s=%v" $name $value | quote }}
    {{- end }}
  ports:
    - name: modelward-ops
      containerPort: {{ .ports.ops }}
  # The other containers start when it has a configuration to serve: the control plane's, or the last copy of it.
  startupProbe:
    grpc:
      port: {{ .ports.ops }}
    periodSeconds: 1
    timeoutSeconds: 2
    failureThreshold: 300
  # Neither asks the control plane: without it the sidecar goes on answering.
  livenessProbe:
    grpc:
      port: {{ .ports.ops }}
      service: modelward.live
    periodSeconds: 10
    timeoutSeconds: 3
  readinessProbe:
    grpc:
      port: {{ .ports.ops }}
    periodSeconds: 5
    timeoutSeconds: 2
  securityContext:
    {{- toYaml .securityContext | nindent 4 }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  volumeMounts:
    - name: modelward-socket
      mountPath: /run/modelward
    - name: modelward-cache
      mountPath: /var/lib/modelward
    - name: modelward-identity
      mountPath: /var/run/modelward/identity
      readOnly: true
{{- end -}}

{{/* What it needs of the `volumes` of the pod. */}}
{{- define "modelward.sidecar.volumes" -}}
- name: modelward-socket
  emptyDir:
    sizeLimit: 1Mi
# The copy outlives the container, not the pod.
- name: modelward-cache
  emptyDir:
    sizeLimit: {{ .cacheSizeLimit }}
- name: modelward-identity
  projected:
    defaultMode: 0440
    sources:
      {{- if .identity.existingSecret }}
      - secret:
          name: {{ .identity.existingSecret }}
          items:
            - key: {{ .identity.key | quote }}
              path: token
      {{- else }}
      - serviceAccountToken:
          audience: {{ .identity.audience | quote }}
          expirationSeconds: {{ .identity.expirationSeconds }}
          path: token
      {{- end }}
      {{- if .localToken.existingSecret }}
      - secret:
          name: {{ .localToken.existingSecret }}
          items:
            - key: {{ .localToken.key | quote }}
              path: local-token
      {{- end }}
      {{- if .ca.configMap }}
      - configMap:
          name: {{ .ca.configMap }}
          items:
            - key: {{ .ca.key | quote }}
              path: ca.crt
      {{- else if .ca.secret }}
      - secret:
          name: {{ .ca.secret }}
          items:
            - key: {{ .ca.key | quote }}
              path: ca.crt
      {{- end }}
{{- end -}}

{{/* For the `volumeMounts` of the containers that call it over the socket, unix:///run/modelward/api.sock. */}}
{{- define "modelward.sidecar.volumeMounts" -}}
- name: modelward-socket
  mountPath: /run/modelward
  readOnly: true
{{- end -}}

{{/* Values that would start nothing, or something unsafe. */}}
{{- define "modelward.sidecar.guards" -}}
{{- if not .upstream -}}
{{- fail "modelward-sidecar needs upstream: the control plane's address, as in https://modelward.llm:50051" -}}
{{- end -}}
{{- if and .ca.configMap .ca.secret -}}
{{- fail "ca.configMap and ca.secret are two authorities: choose one" -}}
{{- end -}}
{{- if and .serveSecrets (contains "http://" .upstream) -}}
{{- fail "serveSecrets needs TLS: secrets would travel in plain text to upstream; use https://" -}}
{{- end -}}
{{- if eq (int .ports.api) (int .ports.ops) -}}
{{- fail "ports.api and ports.ops are one port: choose two" -}}
{{- end -}}
{{- range $name := list "sidecar.upstream" "sidecar.identity_file" "sidecar.ca_file" "sidecar.serve_secrets" "sidecar.local_token_file" "sidecar.writes" "sidecar.cache_key_file" "unix_socket" "unix_socket_mode" "listen" "ops_listen" "data_dir" "log.format" -}}
{{- if hasKey $.settings $name -}}
{{- fail (printf "settings.%s is set by the chart itself: leave it out" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
