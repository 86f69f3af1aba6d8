"""The labels that a kubelet may not set on its node: they would steer pods to it.

Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_RESTRICTED = "node-restriction.kubernetes.io"
_ALLOWED = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
    }
)
_ALLOWED_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_KUBERNETES_DOMAINS = ("kubernetes.io", "k8s.io")


def modified_labels(new: Mapping[str, str] | None, old: Mapping[str, str] | None) -> set[str]:
    """The keys that were added, removed or given another value."""
    have, had = new or {}, old or {}
    return {key for key in have.keys() | had.keys() if have.get(key) != had.get(key)}


def forbidden_labels(keys: Iterable[str]) -> list[str]:
    """Those of the keys that a kubelet may not touch, sorted."""
    return sorted(key for key in keys if _forbidden(key))


def _forbidden(key: str) -> bool:
    domain, slash, _ = key.partition("/")
    if not slash:
        return False
    if _within(domain, (_RESTRICTED,)):
        return True
    return _within(domain, _KUBERNETES_DOMAINS) and key not in _ALLOWED and not _within(domain, _ALLOWED_DOMAINS)


def _within(domain: str, parents: Iterable[str]) -> bool:
    return any(domain == parent or domain.endswith("." + parent) for parent in parents)
