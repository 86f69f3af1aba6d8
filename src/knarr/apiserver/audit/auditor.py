"""Follows requests through their stages and has events written down as the policy says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from knarr.apimachinery import timestamps
from knarr.apiserver import names
from knarr.apiserver.audit import event as events
from knarr.apiserver.audit.log import Sink
from knarr.apiserver.audit.metrics import AuditMetrics
from knarr.apiserver.audit.policy import (
    COMPLETE,
    METADATA,
    NONE,
    PANIC,
    RECEIVED,
    REQUEST_RESPONSE,
    STARTED,
    Audited,
    Policy,
)
from knarr.apiserver.request import RawStream, Request, RequestInfo, Response, UserInfo
from knarr.component_base import logs
from knarr.component_base.clock import Clock

_UNKNOWN = RequestInfo("", "")
_LONGEST_ID = 64
_ATTEMPTS = (("authorization", "bearer"), ("x-remote-user", "request header"))
_log = logs.get("audit")


class Record:
    """One request that is written down, from its beginning."""

    def __init__(self, auditor: Auditor, request: Request, audited: Audited, user: UserInfo | None) -> None:
        self.auditor = auditor
        self.audited = audited
        self.user = user
        self.id = request.headers.get("audit-id", "")[:_LONGEST_ID] or names.uid()
        self.annotations: dict[str, str] = {}
        self.panicked = False
        self.constraint = ""
        self._request = request
        self._event = events.head(request, user, self.id, audited.level)
        self._event["requestReceivedTimestamp"] = auditor.time()
        self._sent = False

    def stage(self, stage: str, response: Response | None = None) -> None:
        """Write a stage down, unless the policy leaves it out."""
        if stage in self.audited.omitted:
            return
        event = self._event
        if stage != RECEIVED:
            self._note(event, response)
        event |= {"stage": stage, "stageTimestamp": self.auditor.time()}
        if response is not None:
            events.answered(event, response)
            if self.audited.level == REQUEST_RESPONSE and stage == COMPLETE:
                events.received(event, response, omit_managed_fields=self.audited.omit_managed_fields)
        if self.annotations:
            event["annotations"] = self.annotations
        self.auditor.write(event)

    def _note(self, event: dict[str, Any], response: Response | None) -> None:
        user = self._request.user
        if user is not None and user is not self.user:
            events.impersonated(event, user, self.constraint)
        if "objectRef" not in event or self._sent or response is None:
            return
        self._sent = True
        body = events.decoded(self._request.body, self._request.headers.get("content-type", ""))
        if body is not None:
            events.referred(event, body)
            if self.audited.level != METADATA:
                events.sent(event, body, omit_managed_fields=self.audited.omit_managed_fields)


class Auditor:
    """Begins and ends records."""

    def __init__(self, policy: Policy, sink: Sink, clock: Clock) -> None:
        self._policy = policy
        self._sink = sink
        self._clock = clock
        self.metrics = AuditMetrics()

    def time(self) -> str:
        """Now, as events have it."""
        return timestamps.micro(self._clock.now())

    def begin(self, request: Request) -> Record | None:
        """Follow a request whose user is known; None for one that is not written down."""
        audited = self._policy.of(request.user, request.info or _UNKNOWN)
        self.metrics.levels.add((audited.level,))
        if audited.level == NONE:
            return None
        record = Record(self, request, audited, request.user)
        record.stage(RECEIVED)
        return record

    def end(self, request: Request, response: Response) -> None:
        """A request has its answer; a stream of answers goes on being followed."""
        record = request.record
        if not isinstance(record, Record):
            if response.status == 401 and request.user is None:
                self._unknown(request, response)
            return
        if response.upgrade is not None:
            record.stage(STARTED, response)
            response.upgrade = _upgraded(record, response, response.upgrade)
        elif hasattr(response.body, "__anext__"):
            record.stage(STARTED, response)
            response.body = _Followed(record, response, response.body)
        else:
            record.stage(PANIC if record.panicked else COMPLETE, response)

    def write(self, event: dict[str, Any]) -> None:
        """Hand an event on. What cannot be written is told in the server's own log: requests go on."""
        self.metrics.events.add()
        try:
            self._sink(event)
        except OSError as error:
            self.metrics.errors.add(("log",))
            _log.error("an audit event is lost", error=error)

    def _unknown(self, request: Request, response: Response) -> None:
        """Somebody whose credentials are not valid."""
        audited = self._policy.of(None, request.info or _UNKNOWN)
        if audited.level == NONE:
            return
        record = Record(self, request, audited, None)
        tried = ", ".join(word for header, word in _ATTEMPTS if request.headers.get(header))
        if STARTED not in audited.omitted:
            event = events.head(request, None, record.id, audited.level)
            events.answered(event, response)
            attempted = f"Authentication failed, attempted: {tried}" if tried else "Authentication failed"
            event["responseStatus"]["message"] = attempted
            now = self.time()
            self.write(event | {"stage": STARTED, "requestReceivedTimestamp": now, "stageTimestamp": now})


class _Followed:
    """A streamed body whose end is written down. What else it offers (`relay`) stays."""

    def __init__(self, record: Record, response: Response, body: Any) -> None:
        self._record, self._response, self._body = record, response, body
        self._over = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk: bytes = await self._body.__anext__()
        except BaseException:
            self._end()
            raise
        return chunk

    async def aclose(self) -> None:
        """Close it."""
        self._end()
        close: Callable[[], Awaitable[None]] | None = getattr(self._body, "aclose", None)
        if close is not None:
            await close()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._record.stage(COMPLETE, Response(self._response.status))


def _upgraded(
    record: Record, response: Response, serve: Callable[[RawStream], Awaitable[None]]
) -> Callable[[RawStream], Awaitable[None]]:
    async def followed(stream: RawStream) -> None:
        try:
            await serve(stream)
        finally:
            record.stage(COMPLETE, Response(response.status))

    return followed
