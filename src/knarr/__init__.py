"""knarr: Kubernetes v1.36 in Python."""

__version__ = "0.1.0"

#: What the server reports as its version, and the Kubernetes release it implements.
KUBERNETES_VERSION = "v1.36.2"
GIT_VERSION = f"{KUBERNETES_VERSION}+knarr1"
