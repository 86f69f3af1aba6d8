"""Jobs: the selector and labels that tell a job's pods from all others."""

from __future__ import annotations

from knarr.apimachinery.types import Object

_UID = "batch.kubernetes.io/controller-uid"


def create(obj: Object) -> None:
    """Make selector and labels of the template, unless the author says that he does; label the job like them."""
    spec, metadata = obj["spec"], obj["metadata"]
    labels = spec["template"]["metadata"].get("labels") or {}
    if not spec.get("manualSelector"):
        uid, name = metadata.get("uid", ""), metadata.get("name", "")
        labels = {
            **labels,
            "batch.kubernetes.io/job-name": name,
            "job-name": name,
            _UID: uid,
            "controller-uid": uid,
        }
        spec["template"]["metadata"]["labels"] = labels
        selector = spec.setdefault("selector", {})
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), _UID: uid}
    if labels:
        metadata.setdefault("labels", dict(labels))
