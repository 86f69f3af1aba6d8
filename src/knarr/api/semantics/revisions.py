"""ControllerRevisions of workloads: what they hold of a template, their hash, their order, and when two are the same.

A revision holds a strategic merge patch that brings its template back.
Source: k8s.io/kubernetes/pkg/controller/history; https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/controller-revision-v1/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from knarr.api.registry import CONTROLLERREVISIONS
from knarr.api.resources import Resource
from knarr.api.semantics import hashes, owners
from knarr.apimachinery.types import Object

#: What the hash of a revision is called on StatefulSets' ControllerRevisions.
HASH_LABEL = "controller.kubernetes.io/hash"
#: Which revision a pod was made of.
POD_LABEL = "controller-revision-hash"
_LONGEST_OWNER = 223
#: Go's JSON does not trust browsers.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def data_of(template: Object) -> Object:
    """What a revision holds of a pod template, its members sorted: the data is kept as text, and compared as such."""
    sorted_text = orjson.dumps({"spec": {"template": {**template, "$patch": "replace"}}}, option=orjson.OPT_SORT_KEYS)
    data: Object = orjson.loads(sorted_text)
    return data


def template_in(revision: Object) -> Object:
    """The pod template that a revision brings back. Raises `ValueError` where it holds none."""
    held = _template(revision)
    if held is None:
        raise ValueError(f"revision {revision['metadata']['name']} holds no pod template")
    return {key: value for key, value in held.items() if key != "$patch"}


def holds(revision: Object, template: Object) -> bool:
    """Whether a revision holds this template; older ones also say that it has no `creationTimestamp`."""
    held = _template(revision)
    if held is None or held.get("$patch") != "replace":
        return False
    return bool(_bare(template_in(revision)) == _bare(template))


def revision_hash(data: Object, collisions: int) -> str:
    """The hash of a revision's data with collisions counted so far, as StatefulSets' revisions are named."""
    text = orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode()
    for char, escape in _ESCAPES.items():
        if char in text:
            text = text.replace(char, escape)
    return hashes.safe(hashes.fnv32(f"{text}{collisions}".encode()))


def name_of(owner: str, hashed: str) -> str:
    """The name of a revision."""
    return f"{owner[:_LONGEST_OWNER]}-{hashed}"


def made(owner: Object, resource: Resource, name: str, label: tuple[str, str], number: int) -> Object:
    """A new revision of the template of `owner` (of `resource`), with its hash under the label that its kind uses."""
    meta, template = owner["metadata"], owner["spec"]["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    own: Object = {
        "name": name,
        "namespace": meta["namespace"],
        "labels": {**labels, label[0]: label[1]},
        "ownerReferences": [owners.controller_reference(owner, resource)],
    }
    if meta.get("annotations"):
        own["annotations"] = meta["annotations"]
    identity = {"apiVersion": CONTROLLERREVISIONS.api_version, "kind": CONTROLLERREVISIONS.kind}
    return {**identity, "metadata": own, "data": data_of(template), "revision": number}


def number(revision: Object) -> int:
    """Which revision of its owner it is."""
    return int(revision.get("revision") or 0)


def ordered(revisions: Iterable[Object]) -> list[Object]:
    """Revisions, the oldest first."""
    return sorted(revisions, key=_order)


def _order(revision: Object) -> tuple[int, str, str]:
    meta = revision["metadata"]
    return number(revision), meta.get("creationTimestamp") or "", meta["name"]


def _template(revision: Object) -> Object | None:
    spec = (revision.get("data") or {}).get("spec")
    held = spec.get("template") if isinstance(spec, dict) else None
    return held if isinstance(held, dict) and isinstance(held.get("spec"), dict) else None


def _bare(template: Object) -> Any:
    meta = template.get("metadata")
    if not isinstance(meta, dict) or "creationTimestamp" not in meta or meta["creationTimestamp"] is not None:
        return template
    return {**template, "metadata": {key: value for key, value in meta.items() if key != "creationTimestamp"}}
