"""Names that follow from a pod: host name, log folder, labels that mark its sandboxes and containers.

Input: the pod. Output: text. https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""

from __future__ import annotations

from knarr.apimachinery.types import Object

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
_LONGEST = 63
_LONGEST_FQDN = 64


class HostnameTooLong(ValueError):
    """The full name does not fit into the kernel's field."""


def hostname(pod: Object, domain: str) -> str:
    """The host name inside the pod. Raises `HostnameTooLong`."""
    spec = pod["spec"]
    if override := spec.get("hostnameOverride"):
        return str(override)
    short = short_name(pod)
    full = full_name(pod, domain)
    if not spec.get("setHostnameAsFQDN") or not full:
        return short
    if len(full) > _LONGEST_FQDN:
        raise HostnameTooLong(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"({_LONGEST_FQDN} characters is the max, {len(full)} characters requested)"
        )
    return full


def short_name(pod: Object) -> str:
    """The pod's own host name, or its name cut to a DNS label."""
    chosen = pod["spec"].get("hostname") or pod["metadata"]["name"]
    return str(chosen)[:_LONGEST].rstrip("-.")


def full_name(pod: Object, domain: str) -> str:
    """The pod's name in the cluster's domain; empty without a subdomain."""
    subdomain = pod["spec"].get("subdomain")
    if not subdomain or pod["spec"].get("hostnameOverride"):
        return ""
    return f"{short_name(pod)}.{subdomain}.{pod['metadata']['namespace']}.svc.{domain}"


def log_folder(pod: Object) -> str:
    """The folder of a pod's logs below that of all logs."""
    meta = pod["metadata"]
    return f"{meta['namespace']}_{meta['name']}_{meta['uid']}"


def labels(pod: Object) -> dict[str, str]:
    """The labels that every kubelet puts on what belongs to a pod."""
    meta = pod["metadata"]
    return {POD_NAME: meta["name"], POD_NAMESPACE: meta["namespace"], POD_UID: meta["uid"]}
