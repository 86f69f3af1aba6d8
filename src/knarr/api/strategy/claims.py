"""Claims: the phase, and the two fields that name where the data comes from."""

from __future__ import annotations

from knarr.apimachinery.types import Object

_OLD_SOURCES = {("PersistentVolumeClaim", ""), ("VolumeSnapshot", "snapshot.storage.k8s.io")}


def create(obj: Object) -> None:
    """A new claim is pending."""
    obj["status"] = {"phase": "Pending"}
    _drop_unknown_source(obj["spec"])
    _mirror_sources(obj["spec"])


def update(obj: Object, old: Object, _now: str) -> None:
    """The sources of the new spec are made alike, unless the old one had them otherwise."""
    if not old["spec"].get("dataSource"):
        _drop_unknown_source(obj["spec"])
    _mirror_sources(obj["spec"])


def _drop_unknown_source(spec: Object) -> None:
    """`dataSource` takes claims and snapshots only; `dataSourceRef` anything."""
    source = spec.get("dataSource")
    if source and (source["kind"], source.get("apiGroup") or "") not in _OLD_SOURCES:
        del spec["dataSource"]


def _mirror_sources(spec: Object) -> None:
    if (spec.get("dataSourceRef") or {}).get("namespace"):
        # A reference into another namespace needs a feature that is off.
        del spec["dataSourceRef"]
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference is not None and source is None:
        spec["dataSource"] = dict(reference)
