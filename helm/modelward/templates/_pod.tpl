{{/* The template of the server's pods, the same for both kinds of database. */}}
{{- define "modelward.podTemplate" -}}
metadata:
  labels:
    {{- include "modelward.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "modelward.toml" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "modelward.serviceAccount" . }}
  automountServiceAccountToken: false
  # Kubernetes' variables for a service of this name would look like settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  initContainers:
    # Apart from the server, so that no probe cuts a long migration off. One pod at a time migrates, the others wait.
    - name: migrate
      args: [migrate]
      {{- include "modelward.container" . | nindent 6 }}
  containers:
    - name: modelward
      args: [serve]
      {{- include "modelward.container" . | nindent 6 }}
      ports:
        - name: grpc
          containerPort: 50051
        - name: ops
          containerPort: 9090
      # gRPC health on the plain listener: modelward.live says that the process answers, the empty name that it may get
      # calls. Neither asks the database: a server without it goes on answering reads, and a restart would end that.
      startupProbe:
        grpc:
          port: 9090
          service: modelward.live
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 60
      livenessProbe:
        grpc:
          port: 9090
          service: modelward.live
        periodSeconds: 10
        timeoutSeconds: 3
      readinessProbe:
        grpc:
          port: 9090
        periodSeconds: 2
        timeoutSeconds: 2
  volumes:
    {{- include "modelward.volumes" . | nindent 4 }}
  {{- include "modelward.scheduling" . | nindent 2 }}
{{- end -}}

{{/* What the init container and the server have in common. */}}
{{- define "modelward.container" -}}
image: {{ include "modelward.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  # Commands that are run in the pod find their settings too.
  - name: MODELWARD_CONFIG
    value: /etc/modelward/config/modelward.toml
  {{- if .Values.bootstrapToken.existingSecret }}
  - name: MODELWARD_TOKEN_FILE
    value: /etc/modelward/bootstrap/token
  {{- end }}
  {{- with include "modelward.caKey" . }}
  - name: MODELWARD_CA_FILE
    value: /etc/modelward/tls/{{ . }}
  {{- end }}
  {{- with .Values.database }}
  {{- if .existingSecret }}
  - name: MODELWARD_DATABASE_URL
    valueFrom:
      secretKeyRef:
        name: {{ .existingSecret }}
        key: {{ .key | quote }}
  {{- end }}
  {{- end }}
  {{- with .Values.tracing }}
  {{- if .endpoint }}
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: OTEL_EXPORTER_OTLP_ENDPOINT
    value: {{ .endpoint | quote }}
  - name: OTEL_SERVICE_NAME
    value: {{ include "modelward.fullname" $ }}
  - name: OTEL_RESOURCE_ATTRIBUTES
    value: k8s.namespace.name={{ $.Release.Namespace }},k8s.pod.name=$(POD_NAME)
  - name: OTEL_TRACES_SAMPLER
    value: parentbased_traceidratio
  - name: OTEL_TRACES_SAMPLER_ARG
    value: {{ .ratio | quote }}
  {{- end }}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - name: config
    mountPath: /etc/modelward/config
    readOnly: true
  {{- if not .Values.database.existingSecret }}
  - name: data
    mountPath: /var/lib/modelward
  - name: tmp
    mountPath: /tmp
  {{- end }}
  {{- if .Values.masterKeys.existingSecret }}
  - name: keys
    mountPath: /etc/modelward/keys
    readOnly: true
  {{- end }}
  {{- if .Values.bootstrapToken.existingSecret }}
  - name: bootstrap
    mountPath: /etc/modelward/bootstrap
    readOnly: true
  {{- end }}
  {{- if include "modelward.tlsSecret" . }}
  - name: tls
    mountPath: /etc/modelward/tls
    readOnly: true
  {{- end }}
  {{- if ne .Values.tls.clientAuth "off" }}
  - name: clients
    mountPath: /etc/modelward/clients
    readOnly: true
  {{- end }}
  {{- if .Values.identity.kubernetes.issuer }}
  - name: cluster
    mountPath: /etc/modelward/cluster
    readOnly: true
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* A claim that the StatefulSet makes itself is in its volumeClaimTemplates. */}}
{{- define "modelward.volumes" -}}
- name: config
  configMap:
    name: {{ include "modelward.fullname" . }}
{{- if not .Values.database.existingSecret }}
{{- with .Values.persistence.existingClaim }}
- name: data
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end }}
- name: tmp
  emptyDir: {}
{{- end }}
{{- with .Values.masterKeys }}
{{- if .existingSecret }}
- name: keys
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .key | quote }}
        path: master.key
{{- end }}
{{- end }}
{{- with .Values.bootstrapToken }}
{{- if .existingSecret }}
- name: bootstrap
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .key | quote }}
        path: token
{{- end }}
{{- end }}
{{- with include "modelward.tlsSecret" . }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- if ne .Values.tls.clientAuth "off" }}
- name: clients
  secret:
    secretName: {{ .Values.tls.clientCa.existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .Values.tls.clientCa.key | quote }}
        path: ca.crt
{{- end }}
{{- if .Values.identity.kubernetes.issuer }}
# With this the keys of the tokens are asked for, and nothing else.
- name: cluster
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          expirationSeconds: 3600
          path: token
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "modelward.scheduling" -}}
topologySpreadConstraints:
  {{- range $given := .Values.topologySpreadConstraints }}
  {{- $these := dict "labelSelector" (dict "matchLabels" (include "modelward.selector" $ | fromYaml)) }}
  {{- toYaml (list (merge (dict) $given $these)) | nindent 2 }}
  {{- else }}
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "modelward.selector" $ | nindent 8 }}
  {{- end }}
  {{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
