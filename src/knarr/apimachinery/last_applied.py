"""The annotation of client-side `kubectl apply`, where kubectl goes on with server-side apply.

What the annotation says and the live object still has is kubectl's already, whichever manager's update brought it in.
Source: k8s.io/apimachinery/pkg/util/managedfields/internal (lastappliedmanager.go, lastappliedupdater.go).
"""

from __future__ import annotations

import orjson

from knarr.apimachinery import field_changes, field_sets
from knarr.apimachinery.field_schema import FieldSchema
from knarr.apimachinery.field_sets import FieldSet
from knarr.apimachinery.types import Object

#: The field manager of kubectl's server-side apply.
KUBECTL = "kubectl"
ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
#: Bytes of all annotations of an object.
_LIMIT = 256 * 1024


def allows(schema: FieldSchema, live: Object, conflicts: FieldSet) -> bool:
    """Whether all conflicting fields are kubectl's own by the annotation of the live object."""
    try:
        before = orjson.loads((live["metadata"].get("annotations") or {}).get(ANNOTATION, ""))
    except orjson.JSONDecodeError:
        return False
    if not isinstance(before, dict) or before.get("apiVersion") != live["apiVersion"]:
        return False
    changes = field_changes.compare(schema, before, live)
    own = field_sets.difference(field_changes.extract(schema, before), changes.changed)
    return not field_sets.difference(conflicts, field_sets.difference(own, changes.removed))


def refresh(obj: Object, config: Object) -> None:
    """Bring the annotation up to date in place, where the object has one; drop it when it is too large."""
    annotations = obj["metadata"].get("annotations") or {}
    if ANNOTATION not in annotations:
        return
    others = {key: value for key, value in annotations.items() if key != ANNOTATION}
    text = _text(config)
    size = sum(len(part.encode()) for pair in others.items() for part in pair) + len(ANNOTATION) + len(text.encode())
    obj["metadata"]["annotations"] = others if size > _LIMIT else {**others, ANNOTATION: text}


def _text(config: Object) -> str:
    meta = dict(config.get("metadata") or {})
    if meta.get("annotations"):
        meta["annotations"] = {key: value for key, value in meta["annotations"].items() if key != ANNOTATION}
    return orjson.dumps({**config, "metadata": meta}, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()
