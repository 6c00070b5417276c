{{- define "rapport.secretVariable" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end -}}

{{- /* Where the database is. The parts go by the variables that every PostgreSQL client knows, so nothing has to be
       escaped into a URL. root, secret */ -}}
{{- define "rapport.databaseVariables" -}}
{{- $database := .root.Values.database -}}
{{- $secret := .secret -}}
{{- if eq .root.Values.mode "single" }}
- name: RAPPORT__STORE__URL
  value: sqlite
{{- else if $database.urlKey }}
{{ include "rapport.secretVariable" (dict "variable" "RAPPORT__STORE__URL" "secret" $secret "key" $database.urlKey) }}
{{- else }}
- name: RAPPORT__STORE__URL
  value: "postgres://"
{{- range $part := list (list "PGHOST" "host") (list "PGPORT" "port") (list "PGUSER" "user") (list "PGPASSWORD" "password") (list "PGDATABASE" "name") }}
{{- $said := get $database (last $part) }}
{{- $key := get $database.keys (last $part) }}
{{- if $said }}
- name: {{ first $part }}
  value: {{ $said | toString | quote }}
{{- else if $key }}
{{ include "rapport.secretVariable" (dict "variable" (first $part) "secret" $secret "key" $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $database.sslMode }}
- name: PGSSLMODE
  value: {{ . }}
{{- end }}
{{- if $database.caSecret.name }}
- name: PGSSLROOTCERT
  value: /etc/rapport/database/{{ $database.caSecret.key }}
{{- end }}
{{- end -}}

{{- /* root, service, secret (of the database) */ -}}
{{- define "rapport.variables" -}}
{{- $values := .root.Values -}}
- name: RAPPORT__LISTEN
  value: {{ printf "%s:%v" $values.bindAddress $values.ports.grpc | quote }}
- name: RAPPORT__ADMIN__LISTEN
  value: {{ printf "%s:%v" $values.bindAddress $values.ports.admin | quote }}
- name: RAPPORT__DATA
  value: /data
- name: RAPPORT__STOP__NOTICE
  value: {{ $values.stop.noticeSeconds }}s
- name: RAPPORT__STOP__GRACE
  value: {{ $values.stop.graceSeconds }}s
- name: RAPPORT__TELEMETRY__FORMAT
  value: {{ $values.telemetry.format }}
- name: RAPPORT__TELEMETRY__LEVEL
  value: {{ $values.telemetry.level | quote }}
{{- with $values.telemetry.otlpEndpoint }}
- name: RAPPORT__TELEMETRY__OTLP_ENDPOINT
  value: {{ . }}
{{- end }}
{{- include "rapport.databaseVariables" . }}
{{- if $values.encryptionKey.existingSecret }}
- name: RAPPORT__STORE__KEY_FILE
  value: /etc/rapport/key/{{ $values.encryptionKey.key }}
{{- end }}
{{- if $values.auth.existingSecret }}
- name: RAPPORT__AUTH__TOKENS_FILE
  value: /etc/rapport/auth/{{ $values.auth.tokensKey }}
{{- else }}
- name: RAPPORT__INSECURE_BIND
  value: "true"
{{- end }}
{{- $tls := $values.tls }}
{{- if $tls.existingSecret }}
- name: RAPPORT__TLS__CERTIFICATE
  value: /etc/rapport/tls/{{ $tls.certificateKey }}
- name: RAPPORT__TLS__KEY
  value: /etc/rapport/tls/{{ $tls.keyKey }}
{{- if $tls.clientCertificates }}
- name: RAPPORT__TLS__CLIENT_CA
  value: /etc/rapport/tls/{{ $tls.caKey }}
{{- with $tls.clientNames }}
- name: RAPPORT__TLS__CLIENT_NAMES
  value: {{ . | toJson | quote }}
{{- end }}
{{- end }}
{{- else }}
- name: RAPPORT__TLS__OFFLOADED
  value: "true"
{{- end }}
{{- if .service }}
{{- $root := .root }}
{{- $own := .service }}
{{- range $peer := include "rapport.workloads" $root | fromJsonArray }}
{{- if ne $peer $own }}
- name: RAPPORT__PEERS__{{ upper $peer }}
  value: {{ ternary "https" "http" (ne $tls.existingSecret "") }}://{{ include "rapport.workload" (dict "root" $root "service" $peer) }}:{{ $values.service.port }}
{{- end }}
{{- end }}
{{- if $tls.existingSecret }}
{{- if $tls.caKey }}
- name: RAPPORT__PEERS__TLS__CA
  value: /etc/rapport/tls/{{ $tls.caKey }}
{{- end }}
{{- if $tls.clientCertificates }}
- name: RAPPORT__PEERS__TLS__CERTIFICATE
  value: /etc/rapport/tls/{{ $tls.certificateKey }}
- name: RAPPORT__PEERS__TLS__KEY
  value: /etc/rapport/tls/{{ $tls.keyKey }}
{{- end }}
{{- end }}
{{- if $values.auth.existingSecret }}
{{ include "rapport.secretVariable" (dict "variable" "RAPPORT__PEERS__TOKEN" "secret" $values.auth.existingSecret "key" $values.auth.peerTokenKey) }}
{{- end }}
{{- end }}
{{- with $values.env }}
{{ toYaml . }}
{{- end }}
{{- if .service }}
{{- with (get $values.services .service).env }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rapport.volumeMounts" -}}
- name: data
  mountPath: /data
{{- if .Values.config }}
- name: config
  mountPath: /etc/rapport/config
  readOnly: true
{{- end }}
{{- if .Values.encryptionKey.existingSecret }}
- name: key
  mountPath: /etc/rapport/key
  readOnly: true
{{- end }}
{{- /* Whole folders: what is mounted by subPath does not change when its Secret does. */}}
{{- if .Values.auth.existingSecret }}
- name: auth
  mountPath: /etc/rapport/auth
  readOnly: true
{{- end }}
{{- if .Values.tls.existingSecret }}
- name: tls
  mountPath: /etc/rapport/tls
  readOnly: true
{{- end }}
{{- if .Values.database.caSecret.name }}
- name: database-ca
  mountPath: /etc/rapport/database
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* root, claim (the data is on a volume of its own) */ -}}
{{- define "rapport.volumes" -}}
{{- $values := .root.Values -}}
{{- if not .claim }}
- name: data
  emptyDir:
    sizeLimit: 64Mi
{{- end }}
{{- if $values.config }}
- name: config
  configMap:
    name: {{ include "rapport.fullname" .root }}
{{- end }}
{{- if $values.encryptionKey.existingSecret }}
- name: key
  secret:
    secretName: {{ $values.encryptionKey.existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ $values.encryptionKey.key }}
        path: {{ $values.encryptionKey.key }}
{{- end }}
{{- if $values.auth.existingSecret }}
- name: auth
  secret:
    secretName: {{ $values.auth.existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ $values.auth.tokensKey }}
        path: {{ $values.auth.tokensKey }}
{{- end }}
{{- if $values.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ $values.tls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- if $values.database.caSecret.name }}
- name: database-ca
  secret:
    secretName: {{ $values.database.caSecret.name }}
    defaultMode: 0440
    items:
      - key: {{ $values.database.caSecret.key }}
        path: {{ $values.database.caSecret.key }}
{{- end }}
{{- with $values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rapport.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "rapport.podSecurity" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- with .Values.podSecurityContext }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rapport.placement" -}}
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
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* root, service, claim */ -}}
{{- define "rapport.pod" -}}
{{- $root := .root -}}
{{- $values := .root.Values -}}
{{- $own := dict -}}
{{- if .service }}{{ $own = get $values.services .service }}{{ end -}}
metadata:
  labels:
    {{- include "rapport.podLabels" . | nindent 4 }}
  annotations:
    {{- if $values.config }}
    # Another configuration is another pod.
    checksum/config: {{ sha256sum $values.config }}
    {{- end }}
    kubectl.kubernetes.io/default-container: rapport
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "rapport.serviceAccount" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  # The sleep of preStop, the notice, the grace, five seconds for workers, and some to spare.
  terminationGracePeriodSeconds: {{ add $values.stop.preStopSeconds $values.stop.noticeSeconds $values.stop.graceSeconds 10 }}
  securityContext:
    {{- include "rapport.podSecurity" $root | nindent 4 }}
  {{- with include "rapport.placement" $root }}
  {{- . | nindent 2 }}
  {{- end }}
  topologySpreadConstraints:
    {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: {{ $values.topologySpread.whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "rapport.selector" $ | nindent 10 }}
      {{- if not $.claim }}
      matchLabelKeys: [pod-template-hash]
      {{- end }}
    {{- end }}
  containers:
    - name: rapport
      image: {{ include "rapport.image" $root }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args:
        - serve
        {{- if .service }}
        - --service={{ .service }}
        {{- end }}
        {{- if $values.config }}
        - --config=/etc/rapport/config/rapport.toml
        {{- end }}
      env:
        {{- include "rapport.variables" (dict "root" $root "service" .service "secret" $values.database.existingSecret) | nindent 8 }}
      {{- with $values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: grpc
          containerPort: {{ $values.ports.grpc }}
        - name: admin
          containerPort: {{ $values.ports.admin }}
      startupProbe:
        httpGet:
          path: /startupz
          port: admin
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: {{ div (add $values.startup.timeoutSeconds 1) 2 }}
      livenessProbe:
        # Says nothing of the database: a restart would not mend it.
        httpGet:
          path: /livez
          port: admin
        periodSeconds: 10
        timeoutSeconds: 2
        failureThreshold: 3
      readinessProbe:
        httpGet:
          path: /readyz
          port: admin
        periodSeconds: 2
        # It asks the database for at most a second.
        timeoutSeconds: 2
        failureThreshold: 2
      lifecycle:
        preStop:
          sleep:
            seconds: {{ $values.stop.preStopSeconds }}
      resources:
        {{- toYaml (default $values.resources $own.resources) | nindent 8 }}
      securityContext:
        {{- include "rapport.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        {{- include "rapport.volumeMounts" $root | nindent 8 }}
  {{- with include "rapport.volumes" . | trim }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}
