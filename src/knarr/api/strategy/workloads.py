"""Daemon sets: the other workloads need no more than the rules."""

from __future__ import annotations

from knarr.apimachinery.types import Object

_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def create_daemon_set(obj: Object) -> None:
    """The template has a generation of its own, which lives in an annotation."""
    _set_generation(obj, max(_generation(obj), 1))


def update_daemon_set(obj: Object, old: Object, _now: str) -> None:
    """It counts changes of the template."""
    changed = obj["spec"]["template"] != old["spec"]["template"]
    _set_generation(obj, _generation(old) + changed)


def _generation(obj: Object) -> int:
    text = (obj["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _set_generation(obj: Object, generation: int) -> None:
    annotations = obj["metadata"].get("annotations") or {}
    obj["metadata"]["annotations"] = {**annotations, _TEMPLATE_GENERATION: str(generation)}
