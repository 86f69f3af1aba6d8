"""The scale of custom resources: read from and written to where their definition says it stands.

Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource (etcd.go: scaleFromCustomResource; validator.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.apimachinery import field
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object

_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
_MOST = (1 << 31) - 1
_MISSING: Any = object()


def scale_of(paths: Mapping[str, str], obj: Object, missing: int | None = None) -> Object:
    """The Scale of an object; `missing` replicas where it says nothing of them.

    Raises `ValueError` where the object has no replicas, or something else there.
    """
    metadata = {name: obj["metadata"][name] for name in _METADATA if name in obj["metadata"]}
    spec_path = paths["specReplicasPath"]
    replicas = _number(obj, spec_path)
    replicas = missing if replicas is None else replicas
    if replicas is None:
        raise ValueError(f'the spec replicas field "{spec_path}" does not exist')
    status: Object = {"replicas": _number(obj, paths["statusReplicasPath"]) or 0}
    selector = _text(obj, paths.get("labelSelectorPath") or "")
    if selector:
        status["selector"] = selector
    spec = {"replicas": replicas} if replicas else {}
    return {"metadata": metadata, "kind": "Scale", "apiVersion": "autoscaling/v1", "spec": spec, "status": status}


def replicas_path(paths: Mapping[str, str]) -> tuple[str, ...]:
    """Where the wanted replicas stand: `("spec", "replicas")`."""
    return tuple(_steps(paths["specReplicasPath"]))


def set_scale(paths: Mapping[str, str], obj: Object, scale: Object) -> Object:
    """The object with the replicas of a scale, and its resourceVersion where it has one. Raises `ValueError`."""
    *path, last = _steps(paths["specReplicasPath"])
    out: Object = dict(obj)
    here = out
    for name in path:
        below = here.get(name, {})
        if not isinstance(below, dict):
            raise ValueError(f"value cannot be set because {_shown(paths['specReplicasPath'])} is not a map")
        here[name] = here = dict(below)
    here[last] = (scale.get("spec") or {}).get("replicas", 0)
    version = scale["metadata"].get("resourceVersion")
    if version:
        out["metadata"] = {**out["metadata"], "resourceVersion": version}
    return out


def errors(paths: Mapping[str, str] | None, obj: Object, *, status_only: bool = False) -> list[FieldError]:
    """What is wrong with an object's own replicas and selector."""
    if paths is None:
        return []
    found = [] if status_only else _replicas_errors(paths["specReplicasPath"], obj)
    found += _replicas_errors(paths["statusReplicasPath"], obj)
    return found + _selector_errors(paths.get("labelSelectorPath") or "", obj)


def _replicas_errors(path: str, obj: Object) -> list[FieldError]:
    try:
        replicas = _number(obj, path) or 0
    except ValueError as error:
        return [field.invalid(path, 0, str(error))]
    if replicas < 0:
        return [field.invalid(path, replicas, "should be a non-negative integer")]
    if replicas > _MOST:
        return [field.invalid(path, replicas, f"should be less than or equal to {_MOST}")]
    return []


def _selector_errors(path: str, obj: Object) -> list[FieldError]:
    try:
        _text(obj, path)
    except ValueError as error:
        return [field.invalid(path, "", str(error))]
    return []


def _steps(path: str) -> list[str]:
    return path.removeprefix(".").split(".")


def _shown(path: str) -> str:
    return "." + path.removeprefix(".")


def _at(obj: Object, path: str) -> Any:
    """What stands at a path, `_MISSING` if nothing does. Raises `ValueError` where a part is no map."""
    value: Any = obj
    gone: list[str] = []
    for name in _steps(path):
        if value is None:
            return _MISSING
        if not isinstance(value, dict):
            where = "." + ".".join(gone)
            raise ValueError(f"{where} accessor error: {_go(value)}, expected map[string]interface{{}}")
        gone.append(name)
        if name not in value:
            return _MISSING
        value = value[name]
    return value


def _number(obj: Object, path: str) -> int | None:
    value = _at(obj, path)
    if value is _MISSING:
        return None
    if type(value) is not int:
        raise ValueError(f"{_shown(path)} accessor error: {_go(value)}, expected int64")
    return value


def _text(obj: Object, path: str) -> str:
    value = _at(obj, path) if path else _MISSING
    if value is _MISSING:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{_shown(path)} accessor error: {_go(value)}, expected string")
    return value


def _go(value: Any) -> str:
    """A value and its type, as Go prints them."""
    if value is None:
        return "<nil> is of the type <nil>"
    if isinstance(value, bool):
        return f"{str(value).lower()} is of the type bool"
    names: dict[type, str] = {str: "string", int: "int64", float: "float64"}
    if type(value) in names:
        return f"{value} is of the type {names[type(value)]}"
    return f"{value} is of the type {'[]interface {}' if isinstance(value, list) else 'map[string]interface {}'}"
