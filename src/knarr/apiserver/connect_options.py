"""What a request that leads out of the API server asks for, as the object that admission sees (`PodExecOptions`, …).

Input: the query and the kind. Output: the object; and back again, into the query, what admission made of it.
Source: k8s.io/api/core/v1 (PodExecOptions and its like), k8s.io/apiserver/pkg/endpoints/handlers/rest.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from knarr.apimachinery.gvk import GroupVersionKind
from knarr.apimachinery.types import Object
from knarr.apiserver.request import Request
from knarr.apiserver.request_info import is_true

_STREAMS = {"stdin": False, "stdout": False, "stderr": False, "tty": False}
_ATTACHED = {**_STREAMS, "stdout": True, "stderr": True}
#: Of each kind its flags with what they are by default, its texts, and its lists.
_FIELDS: Mapping[str, tuple[Mapping[str, bool], tuple[str, ...], tuple[str, ...]]] = {
    "PodExecOptions": (_STREAMS, ("container",), ("command",)),
    "PodAttachOptions": (_ATTACHED, ("container",), ()),
    "PodPortForwardOptions": ({}, (), ("ports",)),
    "PodProxyOptions": ({}, ("path",), ()),
    "ServiceProxyOptions": ({}, ("path",), ()),
    "NodeProxyOptions": ({}, ("path",), ()),
}


def of(kind: GroupVersionKind, request: Request, rest: str) -> Object:
    """The object of a request; `rest` is the path behind a proxy."""
    flags, texts, lists = _FIELDS[kind.kind]
    query = {**request.query, "path": rest} if "path" in texts else request.query
    out: Object = {"kind": kind.kind, "apiVersion": kind.api_version}
    for name, usual in flags.items():
        if is_true(query[name]) if name in query else usual:
            out[name] = True
    out.update((name, query[name]) for name in texts if query.get(name))
    for name in lists:
        given = request.query_lists.get(name)
        if given:
            out[name] = [_read(name)(text) for text in given]
    return out


def put(request: Request, before: Object, after: Object) -> None:
    """Let the request ask for what admission has made of its object."""
    if before == after or after.get("kind") not in _FIELDS:
        return
    flags, texts, lists = _FIELDS[after["kind"]]
    single: dict[str, str] = {name: "true" if after.get(name) else "false" for name in flags}
    single |= {name: str(after.get(name) or "") for name in texts if name != "path"}
    for name, value in single.items():
        request.query[name] = value
        request.query_lists[name] = [value]
    for name in lists:
        values = [str(value) for value in after.get(name) or ()]
        request.query_lists[name] = values
        if values:
            request.query[name] = values[0]


def _read(name: str) -> Callable[[str], object]:
    def port(text: str) -> object:
        return int(text) if text.isdecimal() else text

    return port if name == "ports" else str
