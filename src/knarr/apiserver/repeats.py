"""Reads that are asked for again and again: the same bytes from the same client, the object as it is now.

Whatever may be another between two such requests is looked at every time: who asks, as whom, whether he may, in which
flow, and the object. What cannot is spared: parsing, routing, negotiating, and most of the answer's head.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from knarr.apiserver import audit_id
from knarr.apiserver.context import Context
from knarr.apiserver.impersonation import impersonates
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import Scope
from knarr.component_base import http_gzip
from knarr.component_base.http_format import lasting_head


class Repeat:
    """One object, asked for again."""

    __slots__ = (
        "_collection", "_ctx", "_enter", "_flow", "_generation", "_head", "_key", "_may_be_elsewhere", "_request",
        "_row",
    )  # fmt: skip

    def __init__(
        self, ctx: Context, request: Request, response: Response, scope: Scope, enter: Callable[[Request], None]
    ) -> None:
        assert request.info is not None
        self._ctx = ctx
        self._request, self._enter = request, enter
        self._flow = request.flow
        self._generation = ctx.served.generation
        self._collection = scope.keep
        self._key = scope.stored.key(request.info.namespace, request.info.name)
        self._head = lasting_head(response)
        #: The core group is nobody else's.
        self._may_be_elsewhere = bool(request.info.group)
        self._row = ctx.metrics.row(request.info, request, response.status)

    def __call__(self) -> bytes | None:
        """The whole answer; None when the request has to go the usual way."""
        began = time.perf_counter()
        ctx, request, flow, collection = self._ctx, self._request, self._flow, self._collection
        entry = collection.entries.get(self._key)
        if entry is None or ctx.served.generation != self._generation or ctx.auditor is not None:
            return None
        try:
            self._enter(request)
        except Exception:  # noqa: BLE001 - the usual way comes to it again, and tells of it
            return None
        if request.warnings:
            request.warnings.clear()
            return None
        if self._may_be_elsewhere and ctx.aggregator.route(request.path) is not None:
            return None
        if request.flow is not flow or (flow is not None and not flow.level.free):
            return None
        body, suffix = entry.body, collection.suffix
        size = len(body) - 1 + len(suffix)
        if size >= http_gzip.LEAST:
            return None
        if flow is not None:
            flow.tally.dispatched += 1
        self._row.count(200, size, time.perf_counter() - began)
        # The object as `Collection.single` shows it, copied less often.
        head = b"%bAudit-Id: %b\r\nContent-Length: %d\r\n\r\n" % (self._head, audit_id.fresh(), size)
        return b"".join((head, body[:-1], suffix))


def of(ctx: Context, request: Request, response: Response, enter: Callable[[Request], None]) -> Repeat | None:
    """What answers the same request again; None where it is not an object that is shown as it is kept.

    `enter` takes a request through the stages before its verb, but those that only look at its bytes.
    """
    info, headers = request.info, request.headers
    if info is None or info.verb != "get" or response.status != 200 or info.subresource or request.warnings:
        return None
    if request.trusted is not None or audit_id.GIVEN in headers or impersonates(headers):
        return None
    scope = ctx.served.get(info.group, info.version, info.resource)
    if scope is None or scope.collection is None:
        return None
    entry = scope.collection.entries.get(scope.stored.key(info.namespace, info.name))
    if entry is None or response.body != scope.collection.single(entry) or len(entry.body) >= http_gzip.LEAST:
        return None
    return Repeat(ctx, request, response, scope, enter)
