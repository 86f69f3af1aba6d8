"""Audit events as documents (`Event`, audit.k8s.io/v1), made of requests and answers. Pure.

https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/#audit-k8s-io-v1-Event
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from knarr.apimachinery.types import Object
from knarr.apiserver import users
from knarr.apiserver.request import Request, RequestInfo, Response, UserInfo
from knarr.component_base.http import Pieces

#: Most characters of a user agent.
_LONGEST_AGENT = 1024
_UNKNOWN = RequestInfo("", "")


def head(request: Request, user: UserInfo | None, audit_id: str, level: str) -> Object:
    """What is the same in every stage."""
    info = request.info or _UNKNOWN
    event: Object = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": level,
        "auditID": audit_id,
        "stage": "",
        "requestURI": _uri(request),
        "verb": info.verb,
        "user": users.shown(user) if user is not None else {},
        "sourceIPs": _sources(request),
    }
    agent = request.headers.get("user-agent", "")
    if agent:
        cut = agent[:_LONGEST_AGENT] + "...TRUNCATED" if len(agent) > _LONGEST_AGENT else agent
        event["userAgent"] = cut
    if info.is_resource:
        event["objectRef"] = _reference(info)
    return event


def _uri(request: Request) -> str:
    path = quote(request.path, safe="/:@!$&'()*+,;=~-._")
    return f"{path}?{request.raw_query}" if request.raw_query else path


def _sources(request: Request) -> list[str]:
    """Who sent it: first those whom proxies name, whom anybody can invent, at last the one who is connected."""
    found = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",") if part.strip()]
    real = request.headers.get("x-real-ip", "")
    if real and real not in found:
        found.append(real)
    remote = request.remote.removeprefix("::ffff:")
    if remote and (not found or found[-1] != remote):
        found.append(remote)
    return found


def _reference(info: RequestInfo) -> Object:
    pairs = (
        ("resource", info.resource),
        ("namespace", info.namespace),
        ("name", info.name),
        ("apiGroup", info.group),
        ("apiVersion", info.version),
        ("subresource", info.subresource),
    )
    return {key: value for key, value in pairs if value}


def impersonated(event: Object, user: UserInfo, constraint: str) -> None:
    """Note as whom somebody asked, and by which verb of constrained impersonation (empty: by the one for all)."""
    event["impersonatedUser"] = users.shown(user)
    if constraint:
        event["authenticationMetadata"] = {"impersonationConstraint": constraint}


def sent(event: Object, body: Any, *, omit_managed_fields: bool) -> None:
    """Note the object that was sent."""
    event["requestObject"] = _without_managed(body) if omit_managed_fields else body


def referred(event: Object, body: Any) -> None:
    """Note what the object that was sent tells of the one that is meant."""
    meta = body.get("metadata") if isinstance(body, dict) else None
    if not isinstance(meta, dict):
        return
    for key in ("name", "namespace", "uid", "resourceVersion"):
        if meta.get(key) and key not in event["objectRef"]:
            event["objectRef"][key] = meta[key]


def answered(event: Object, response: Response) -> None:
    """Note the status of the answer: of a failure with its reason."""
    event["responseStatus"] = {"metadata": {}, "code": response.status}
    if response.status < 400:
        return
    body = decoded(_whole(response), response.content_type)
    if isinstance(body, dict) and body.get("kind") == "Status":
        wanted = ("status", "message", "reason", "details")
        event["responseStatus"] |= {key: body[key] for key in wanted if key in body}


def received(event: Object, response: Response, *, omit_managed_fields: bool) -> None:
    """Note the object that was answered."""
    body = decoded(_whole(response), response.content_type)
    if body is not None:
        event["responseObject"] = _without_managed(body) if omit_managed_fields else body


def _whole(response: Response) -> bytes:
    return bytes(response.body) if isinstance(response.body, bytes | Pieces) else b""


def decoded(body: bytes, media: str) -> Any:
    """A body as a document; None where there is none, or where it is no object."""
    if not body:
        return None
    try:
        if "protobuf" in media:
            return _from_protobuf(body)
        if "yaml" in media:
            import yaml

            return yaml.load(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return orjson.loads(body) if not media or "json" in media else None
    except Exception:  # noqa: BLE001 - what cannot be read is not written down: whoever judges the request says why
        return None


def _from_protobuf(body: bytes) -> Object:
    """The object as JSON shows it: without the empty members that its messages carry."""
    from knarr.api import codec, protobuf

    envelope = protobuf.open_envelope(body)
    version, kind = envelope.api_version or "v1", envelope.kind
    found = protobuf.decode(version, kind, envelope.raw)
    return codec.normalise(version, kind, found).object if codec.type_of(version, kind) is not None else found


def _without_managed(body: Any) -> Any:
    """An object, or the items of a list, without their managed fields."""
    if not isinstance(body, dict):
        return body
    out = dict(body)
    if isinstance(out.get("metadata"), dict) and "managedFields" in out["metadata"]:
        out["metadata"] = {key: value for key, value in out["metadata"].items() if key != "managedFields"}
    if isinstance(out.get("items"), list):
        out["items"] = [_without_managed(item) for item in out["items"]]
    return out
