"""Manifests that several tests use."""

from __future__ import annotations

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: nginx
        image: nginx
        imagePullPolicy: IfNotPresent
        ports: [{containerPort: 80}]
        readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
        # Endpoints go while the old pod still answers, as one does it with nginx anywhere.
        lifecycle: {preStop: {sleep: {seconds: 1}}}
        volumeMounts: [{name: conf, mountPath: /etc/nginx/conf.d}]
      volumes: [{name: conf, configMap: {name: conf}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data:
  default.conf: |
    server {
      listen 80;
      location = /host { default_type text/plain; return 200 "$hostname\\n"; }
      location / { root /usr/share/nginx/html; index index.html; }
    }
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


def pod(name: str, command: str, extra: str = "", container: str = "", restart: str = "Never") -> str:
    """A busybox pod that runs a shell command. `extra` goes into the spec, `container` into the container."""
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  restartPolicy: {restart}
  terminationGracePeriodSeconds: 1
{_indent(extra, 2)}
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    command: ["sh", "-c", {_quoted(command)}]
{_indent(container, 4)}
"""


def _indent(text: str, spaces: int) -> str:
    return "\n".join(" " * spaces + line for line in text.strip("\n").splitlines())


def _quoted(text: str) -> str:
    import json

    return json.dumps(text)
