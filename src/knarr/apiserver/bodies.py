"""Request bodies: read as an object of the wanted kind, with what strict validation says about them."""

from __future__ import annotations

from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError, bad_request, request_entity_too_large
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds, negotiation
from knarr.apiserver.negotiation import JSON, YAML
from knarr.apiserver.request import Request
from knarr.component_base.http_server import MAX_BODY


def check_size(request: Request) -> None:
    """Raises `StatusError` 413 for a body that passed the limit."""
    if request.oversized:
        raise request_entity_too_large(f"Request entity too large: limit is {MAX_BODY}")


def read(request: Request, resource: Resource, validation: str) -> Object:
    """The body as an object of the resource's kind. Raises `StatusError` 400, 413, 415.

    With `validation` `Warn` complaints become warnings, with `Strict` a 400.
    """
    check_size(request)
    media = negotiation.body_media(request.headers.get("content-type", ""))
    if media == JSON:
        data = request.body
    elif media == YAML:
        data = from_yaml(request.body, resource)
    else:
        raise StatusError(415, "UnsupportedMediaType", f"bodies in {media} are not supported")
    obj, problems = kinds.decode(resource, data)
    complain(request, obj, problems, validation)
    return obj


def complain(request: Request, obj: Object, problems: tuple[str, ...], validation: str) -> None:
    """Turn strict decoding's complaints into warnings or a failure. Raises `StatusError` 400."""
    if not problems or validation == "Ignore":
        return
    if validation == "Strict":
        kind = obj.get("kind", "")
        version = str(obj.get("apiVersion", "")).rpartition("/")[2]
        text = f"strict decoding error: {', '.join(problems)}"
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {text}')
    request.warnings += problems


def from_yaml(data: bytes, resource: Resource) -> bytes:
    """A YAML body as JSON. Raises `StatusError` 400."""
    import orjson

    from knarr.apiserver import yaml_bodies

    try:
        return orjson.dumps(yaml_bodies.load(data))
    except ValueError as error:
        shown = data[:30].hex() + (" ..." if len(data) > 30 else "")
        head = f"the object provided is unrecognized (must be of type {resource.kind})"
        raise bad_request(f"{head}: {error} ({shown})") from error
