"""Pod templates: when two are the same, the hash that names their generation, and the pod that is made of one."""

from __future__ import annotations

from typing import Any

from knarr.api.resources import Resource
from knarr.api.semantics import go_dump, hashes, owners
from knarr.apimachinery.types import Object

#: The label that tells apart the pods of a Deployment's ReplicaSets.
HASH_LABEL = "pod-template-hash"


def equal_ignoring_hash(one: Object, other: Object) -> bool:
    """Whether two templates (canonical, with defaults) are the same, the hash label aside."""
    return bool(_bare(one) == _bare(other))


def template_hash(template: Object, collisions: int = 0) -> str:
    """A short name for a template, the same as Kubernetes gives it; collisions counted so far are hashed in."""
    text = go_dump.dump(template, "core.v1.PodTemplateSpec").encode()
    counted = collisions.to_bytes(8, "little") if collisions else b""
    return hashes.safe(hashes.fnv32a(text + counted))


def new_pod(owner: Object, resource: Resource, template: Object, name: str) -> Object:
    """A pod of a template, controlled by `owner` (of `resource`); its labels and spec may be changed."""
    given, meta = template.get("metadata") or {}, owner["metadata"]
    own: Object = {"name": name, "generateName": f"{meta['name']}-", "namespace": meta["namespace"]}
    own |= {field: given[field] for field in ("annotations", "finalizers") if given.get(field)}
    own["labels"] = dict(given.get("labels") or {})
    own["ownerReferences"] = [owners.controller_reference(owner, resource)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": own, "spec": dict(template["spec"])}


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
