"""Pod templates: when two are the same, and the hash that names their generation."""

from __future__ import annotations

from typing import Any

from knarr.api.semantics import go_dump
from knarr.apimachinery.types import Object

#: The label that tells apart the pods of a Deployment's ReplicaSets.
HASH_LABEL = "pod-template-hash"
#: Digits of a hash, chosen so that no words come out.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_OFFSET, _PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


def equal_ignoring_hash(one: Object, other: Object) -> bool:
    """Whether two templates (canonical, with defaults) are the same, the hash label aside."""
    return bool(_bare(one) == _bare(other))


def template_hash(template: Object, collisions: int = 0) -> str:
    """A short name for a template, the same as Kubernetes gives it; collisions counted so far are hashed in."""
    text = go_dump.dump(template, "core.v1.PodTemplateSpec").encode()
    counted = collisions.to_bytes(8, "little") if collisions else b""
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(_fnv32a(text + counted)))


def _fnv32a(data: bytes) -> int:
    value = _OFFSET
    for byte in data:
        value = ((value ^ byte) * _PRIME) & _MASK
    return value


def _bare(template: Object) -> Any:
    meta = dict(template.get("metadata") or {})
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != HASH_LABEL}
    return _without_empty({**template, "metadata": {**meta, "labels": labels}})


def _without_empty(value: Any) -> Any:
    """Absent and empty mean the same, save for a source that is chosen by being there (`emptyDir: {}`)."""
    if not isinstance(value, dict):
        return value
    return {key: inner for key, inner in value.items() if inner not in (None, [])} | _filled(value)


def _filled(value: Object) -> Object:
    return {key: _without_empty(inner) for key, inner in value.items() if isinstance(inner, dict)}
