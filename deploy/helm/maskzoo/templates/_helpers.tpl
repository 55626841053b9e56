{{- define "maskzoo.labels" -}}
{{ include "maskzoo.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "maskzoo.selector" -}}
app.kubernetes.io/name: maskzoo
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* The name of all objects: that of the release. */ -}}
{{- define "maskzoo.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "maskzoo.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default (ternary .Chart.AppVersion "cpu" (gt (int .Values.gpus) 0)) }}
{{- end }}

{{- /* What keeps a container from changing anything but its volumes. */ -}}
{{- define "maskzoo.locked" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
