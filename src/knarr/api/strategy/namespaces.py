"""Namespaces: the finalizer of the server's own, and the phase."""

from __future__ import annotations

from knarr.apimachinery.types import Object

_FINALIZER = "kubernetes"
_NAME_LABEL = "kubernetes.io/metadata.name"


def create(obj: Object) -> None:
    """A new namespace is active, and has the finalizer that empties it."""
    obj["status"] = {"phase": "Active"}
    finalizers = obj["spec"].setdefault("finalizers", [])
    if _FINALIZER not in finalizers:
        finalizers.append(_FINALIZER)
    name = obj["metadata"].get("name")
    if name:
        # A generated name is known only now.
        obj["metadata"].setdefault("labels", {})[_NAME_LABEL] = name


def update(obj: Object, old: Object, _now: str) -> None:
    """The finalizers of the spec change through `finalize` alone."""
    obj["spec"] = old["spec"]


def finalize(obj: Object, old: Object, _now: str) -> None:
    """Nothing but the spec's finalizers changes."""
    obj["status"] = old["status"]
