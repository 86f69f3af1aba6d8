"""What the server itself writes goes through its own pipeline, as `system:apiserver`."""

from __future__ import annotations

from urllib.parse import urlencode

import orjson

from knarr.apimachinery.errors import from_status
from knarr.apimachinery.types import Object
from knarr.apiserver.request import Request, UserInfo
from knarr.component_base.http_server import Handler

LOOPBACK = UserInfo("system:apiserver", ("system:masters", "system:authenticated"))
MERGE_PATCH = "application/merge-patch+json"


async def call(
    handler: Handler, method: str, path: str, obj: Object | None = None, media: str = "application/json"
) -> None:
    """Do one request. Raises `StatusError`."""
    query = {"fieldManager": "kube-apiserver"} if method != "DELETE" else {}
    request = Request(
        method=method,
        path=path,
        query=query,
        headers={"content-type": media},
        body=orjson.dumps(obj) if obj is not None else b"",
        raw_query=urlencode(query),
        trusted=LOOPBACK,
    )
    response = await handler(request)
    if response.status >= 400 and isinstance(response.body, bytes):
        raise from_status(orjson.loads(response.body))
