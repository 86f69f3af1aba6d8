"""Controls of AppArmor and seccomp profiles: of both levels, as fields and as the annotations of old."""

from __future__ import annotations

from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.pod_standards.violation import (
    Violation,
    containers,
    context,
    counted,
    is_windows,
    names_of,
    plural,
    quoted,
    setters,
)

_APPARMOR_PREFIX = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_PREFIX = "container.seccomp.security.alpha.kubernetes.io/"
_TYPES = ("RuntimeDefault", "Localhost")


def _type(holder: Object, kind: str) -> str | None:
    """The type of the profile that a pod or container sets; None where it sets none."""
    profile = context(holder, kind)
    return None if profile is None else profile.get("type") or ""


def _setters(spec: Object, kind: str) -> tuple[str, list[str]]:
    """Who sets a profile that is not allowed, and which types."""
    bad = [holder for holder in (spec, *containers(spec)) if _type(holder, kind) not in (None, *_TYPES)]
    types = sorted({_type(holder, kind) or "" for holder in bad})
    names = names_of(holder for holder in bad if holder is not spec)
    return setters(pod=bool(bad) and bad[0] is spec, names=names), types


def apparmor(meta: Object, spec: Object) -> Violation | None:
    """AppArmor may not be turned off."""
    who, values = _setters(spec, "appArmorProfile")
    annotations = [
        f"{key}={quote(value)}"
        for key, value in sorted((meta.get("annotations") or {}).items())
        if key.startswith(_APPARMOR_PREFIX)
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    ]
    if annotations:
        values += annotations
        note = plural("annotation", len(annotations))
        who = f"{who} and {note}" if who else note
    if not who:
        return None
    reason = plural("forbidden AppArmor profile", len(values))
    return Violation(reason, f"{who} must not set AppArmor profile type to {quoted(values)}")


def seccomp_annotations(meta: Object, spec: Object) -> Violation | None:
    """Seccomp may not be turned off by the annotations that came before the field."""
    annotations = meta.get("annotations") or {}
    keys = [_SECCOMP_POD, *(_SECCOMP_PREFIX + name for name in names_of(containers(spec)))]
    bad = sorted({f"{key}={quote(annotations[key])}" for key in keys if not _allows(annotations.get(key))})
    if not bad:
        return None
    return Violation("seccompProfile", f"forbidden {plural('annotation', len(bad))} {', '.join(bad)}")


def _allows(value: str | None) -> bool:
    return value in (None, "runtime/default", "docker/default") or str(value).startswith("localhost/")


def seccomp(_meta: Object, spec: Object) -> Violation | None:
    """Seccomp may not be turned off."""
    who, types = _setters(spec, "seccompProfile")
    if not who:
        return None
    return Violation("seccompProfile", f"{who} must not set securityContext.seccompProfile.type to {quoted(types)}")


def seccomp_required(meta: Object, spec: Object) -> Violation | None:
    """Every container runs with a seccomp profile, its own or the pod's."""
    explicit = seccomp(meta, spec)
    if explicit is not None or _type(spec, "seccompProfile") is not None:
        return explicit
    bad = names_of(item for item in containers(spec) if _type(item, "seccompProfile") is None)
    if not bad:
        return None
    what = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", f"pod or {counted('container', bad)} {what}")


def seccomp_required_on_linux(meta: Object, spec: Object) -> Violation | None:
    """As `seccomp_required`; Windows has no seccomp."""
    return None if is_windows(spec) else seccomp_required(meta, spec)
