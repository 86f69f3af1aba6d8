"""Device claims and slices: resource.k8s.io/v1beta1 says in one level what v1 says in two, and the other way round."""

from __future__ import annotations

from knarr.apimachinery.types import Object

#: What a v1beta1 request has of its own; v1 keeps it in `exactly`.
_REQUEST = (
    "deviceClassName",
    "selectors",
    "allocationMode",
    "count",
    "adminAccess",
    "tolerations",
    "capacity",
)


def claim_to_v1(obj: Object) -> Object:
    """Requests with `exactly`."""
    return {**obj, "spec": _spec(obj["spec"], nested=True)}


def claim_to_v1beta1(obj: Object) -> Object:
    """Requests without it."""
    return {**obj, "spec": _spec(obj["spec"], nested=False)}


def template_to_v1(obj: Object) -> Object:
    """The same of a template."""
    return {**obj, "spec": {**obj["spec"], "spec": _spec(obj["spec"]["spec"], nested=True)}}


def template_to_v1beta1(obj: Object) -> Object:
    """The same of a template."""
    return {**obj, "spec": {**obj["spec"], "spec": _spec(obj["spec"]["spec"], nested=False)}}


def _spec(spec: Object, *, nested: bool) -> Object:
    devices = spec.get("devices") or {}
    requests = devices.get("requests")
    if not requests:
        return spec
    change = _nested if nested else _flat
    return {**spec, "devices": {**devices, "requests": [change(request) for request in requests]}}


def _nested(request: Object) -> Object:
    own = {name: request[name] for name in _REQUEST if request.get(name) not in (None, "")}
    rest = {name: value for name, value in request.items() if name not in _REQUEST}
    return {**rest, "exactly": own} if own else rest


def _flat(request: Object) -> Object:
    return {**{name: value for name, value in request.items() if name != "exactly"}, **request.get("exactly", {})}


def slice_to_v1(obj: Object) -> Object:
    """Devices without `basic`."""
    return _slice(obj, nested=False)


def slice_to_v1beta1(obj: Object) -> Object:
    """Devices with it."""
    return _slice(obj, nested=True)


def _slice(obj: Object, *, nested: bool) -> Object:
    devices = []
    for device in obj["spec"].get("devices", ()):
        inner = {name: value for name, value in device.items() if name not in ("name", "basic")}
        content = {"basic": inner} if nested else {**inner, **(device.get("basic") or {})}
        devices.append({"name": device["name"], **content})
    return {**obj, "spec": {**obj["spec"], "devices": devices}}
