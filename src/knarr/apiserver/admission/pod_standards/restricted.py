"""The controls that the level `restricted` adds: pods are hardened as well as is possible.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from knarr.apimachinery.types import Object
from knarr.apiserver.admission.pod_standards.violation import (
    Violation,
    containers,
    context,
    counted,
    has_own_users,
    is_windows,
    names_of,
    plural,
    quoted,
    setters,
    use,
)

_VOLUMES = ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected")
_ALLOWED_VOLUMES = frozenset((*_VOLUMES, "secret"))


def allow_privilege_escalation(_meta: Object, spec: Object) -> Violation | None:
    """Every container forbids privilege escalation."""
    bad = names_of(
        container for container in containers(spec) if context(container, "allowPrivilegeEscalation") is not False
    )
    if not bad:
        return None
    what = "must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", f"{counted('container', bad)} {what}")


def allow_privilege_escalation_on_linux(meta: Object, spec: Object) -> Violation | None:
    """As `allow_privilege_escalation`; Windows has no such thing."""
    return None if is_windows(spec) else allow_privilege_escalation(meta, spec)


def capabilities(_meta: Object, spec: Object) -> Violation | None:
    """Every container drops all capabilities, and adds at most that to bind to low ports."""
    keeping: list[str] = []
    adding: list[str] = []
    forbidden: set[str] = set()
    for container in containers(spec):
        asked = context(container, "capabilities") or {}
        if "ALL" not in (asked.get("drop") or ()):
            keeping.append(container.get("name", ""))
        added = set(asked.get("add") or ()) - {"NET_BIND_SERVICE"}
        if added:
            adding.append(container.get("name", ""))
            forbidden |= added
    details = []
    if keeping:
        details.append(f'{counted("container", keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        what = f"must not include {quoted(sorted(forbidden))} in securityContext.capabilities.add"
        details.append(f"{counted('container', adding)} {what}")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def capabilities_on_linux(meta: Object, spec: Object) -> Violation | None:
    """As `capabilities`; Windows has none."""
    return None if is_windows(spec) else capabilities(meta, spec)


def volumes(_meta: Object, spec: Object) -> Violation | None:
    """Volumes come from the API or from claims."""
    bad: list[str] = []
    types: set[str] = set()
    for volume in spec.get("volumes") or ():
        sources = [key for key, value in volume.items() if key != "name" and value is not None]
        if not _ALLOWED_VOLUMES.intersection(sources):
            bad.append(volume.get("name", ""))
            types.add(sources[0] if sources else "unknown")
    if not bad:
        return None
    what = f"{use(len(bad))} {plural('restricted volume type', len(types))} {quoted(sorted(types))}"
    return Violation("restricted volume types", f"{counted('volume', bad)} {what}")


def run_as_non_root(_meta: Object, spec: Object) -> Violation | None:
    """Every container says that it does not run as root, or its pod does."""
    reason = "runAsNonRoot != true"
    bad = names_of(container for container in containers(spec) if context(container, "runAsNonRoot") is False)
    who = setters(pod=context(spec, "runAsNonRoot") is False, names=bad)
    if who:
        return Violation(reason, f"{who} must not set securityContext.runAsNonRoot=false")
    if context(spec, "runAsNonRoot"):
        return None
    silent = names_of(container for container in containers(spec) if context(container, "runAsNonRoot") is None)
    if not silent:
        return None
    return Violation(reason, f"pod or {counted('container', silent)} must set securityContext.runAsNonRoot=true")


def run_as_non_root_of_host_users(meta: Object, spec: Object) -> Violation | None:
    """As `run_as_non_root`, where root is the node's root."""
    return None if has_own_users(spec) else run_as_non_root(meta, spec)


def run_as_user(_meta: Object, spec: Object) -> Violation | None:
    """Nothing runs as user 0."""
    bad = names_of(container for container in containers(spec) if context(container, "runAsUser") == 0)
    who = setters(pod=context(spec, "runAsUser") == 0, names=bad)
    return Violation("runAsUser=0", f"{who} must not set runAsUser=0") if who else None


def run_as_user_of_host_users(meta: Object, spec: Object) -> Violation | None:
    """As `run_as_user`, where user 0 is the node's root."""
    return None if has_own_users(spec) else run_as_user(meta, spec)
