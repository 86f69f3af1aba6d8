"""The order of a request: who asks, as whom, may he, and then the verb.

`STAGES` run in order on every request and raise to refuse; then the path decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from knarr.apimachinery.errors import StatusError, bad_request, internal
from knarr.apiserver import audit_id, deadlines, dispatch, repeats, request_info, responses
from knarr.apiserver.authn.authenticator import has_credentials
from knarr.apiserver.authz.decision import forbidden
from knarr.apiserver.context import Context
from knarr.apiserver.flowcontrol import metrics as flow_metrics
from knarr.apiserver.nonresource import NonResource
from knarr.apiserver.pending import Pending, waiting
from knarr.apiserver.repeats import Repeat
from knarr.apiserver.request import Request, RequestInfo, Response
from knarr.component_base import logs
from knarr.component_base.http import Flow
from knarr.storage.store import StoreError

_log = logs.get("apiserver")
_UNKNOWN = RequestInfo("", "")
#: What orjson says of values that nothing can hold: nested too deeply, integers beyond 64 bits, half characters.
#: Everything up to the write is pure, and the write takes bytes: nothing is half done then.
_UNREPRESENTABLE = ("Recursion limit reached", "Integer exceeds 64-bit range", "surrogates not allowed")


def read_info(_ctx: Context, request: Request) -> None:
    """What is asked for, and in what time. Raises `StatusError` 400."""
    info = request.info = request_info.of(request.method, request.path, request.query)
    if "timeout" in request.query:
        deadlines.seconds(request, info)


def _since(request: Request, stage: str) -> float:
    """When a stage began, also where it begins anew because somebody else had to be asked."""
    asked = request.asked
    return time.perf_counter() if asked is None or asked[0] != stage else asked[1]


def authenticate(ctx: Context, request: Request) -> None:
    """Who asks. Raises `StatusError` 401."""
    began = _since(request, "authenticate")
    try:
        user = request.user = ctx.authenticator.authenticate(request)
    except Pending:
        request.asked = ("authenticate", began)
        raise
    except StatusError:
        ctx.metrics.access.kept_out(time.perf_counter() - began, credentials=has_credentials(request))
        raise
    ctx.metrics.access.let_in(user.name, time.perf_counter() - began)


def note(ctx: Context, request: Request) -> None:
    """Begin to write it down, where somebody wants that."""
    if request.record is not None:
        # The request begins anew.
        request.record.user = request.user
    elif ctx.auditor is not None:
        request.record = ctx.auditor.begin(request)


def act_as(ctx: Context, request: Request) -> None:
    """As whom he asks. Raises `StatusError` 400, 403."""
    if request.user is not None:
        request.user = ctx.impersonation.user_of(request, request.user, ctx.authorizers)


def classify(ctx: Context, request: Request) -> None:
    """Which flow it belongs to. What runs for long is not held back, but a watch as it begins."""
    user, info = request.user, request.info
    if user is not None and info is not None:
        request.flow = ctx.flow_control.flow(user, info)


def authorize(ctx: Context, request: Request) -> None:
    """Whether he may. Raises `StatusError` 403."""
    user, info = request.user, request.info
    if user is None or info is None:
        raise LookupError("authorization comes after authentication")
    began = _since(request, "authorize")
    try:
        decision = ctx.authorizers.authorize(user, info)
    except Pending:
        request.asked = ("authorize", began)
        raise
    ctx.metrics.access.decided(decision, time.perf_counter() - began)
    if request.record is not None:
        request.record.annotations |= decision.annotations
    if not decision.allowed:
        if decision.error:
            raise internal(f'"{request.path}": {decision.error}')
        raise forbidden(user, info, decision)


#: What every request passes, in this order.
STAGES: tuple[Callable[[Context, Request], None], ...] = (read_info, authenticate, note, act_as, classify, authorize)
#: Those that may find something else for the same bytes of the same client, as long as he acts as himself and nothing
#: is written down.
_EACH_TIME = tuple(stage for stage in STAGES if stage not in (read_info, act_as, note))


class Pipeline:
    """Answers requests: `quick` at once where the cache suffices, `handle` all of them."""

    def __init__(self, ctx: Context, nonresource: NonResource) -> None:
        self.ctx = ctx
        self.nonresource = nonresource
        self._deadlines = deadlines.Deadlines()

    def quick(self, request: Request) -> Response | None:
        """The answer of a cached read; None for what `handle` must do."""
        if request.method != "GET":
            return None
        began = time.perf_counter()
        try:
            self._enter(request)
            info = request.info
            if info is None or info.verb not in ("get", "list") or not info.is_resource:
                return None
            if self.ctx.aggregator.route(request.path) is not None:
                return None
            flow = request.flow
            if flow is not None and not self._at_once(flow, info):
                return None
            response = dispatch.quick(self.ctx, request, info)
        except StatusError as failure:
            response = responses.error(failure, request)
        except Pending:
            request.user = None
            return None
        except Exception as error:  # noqa: BLE001 - a request's bug is its own: it gets a 500, the server goes on
            response = _failed(request, error)
        if response is not None:
            if request.flow is not None:
                request.flow.tally.dispatched += 1
            self._count(request, response, began)
        return response

    def repeat(self, request: Request, response: Response) -> Repeat | None:
        """What answers the same request of the same client again, where that is simpler than `quick`."""
        return repeats.of(self.ctx, request, response, self._enter_again)

    async def handle(self, request: Request) -> Response:
        """The answer of any request."""
        began = time.perf_counter()
        metrics = self.ctx.metrics
        kind = metrics.begin(request)
        try:
            response = await self._answer(request)
        except StatusError as failure:
            response = responses.error(failure, request)
        except StoreError as failure:
            response = _store_failed(request, failure)
        except Exception as error:  # noqa: BLE001 - as above
            response = _failed(request, error)
        finally:
            metrics.end(kind)
        self._count(request, response, began)
        return response

    async def _answer(self, request: Request) -> Response:
        """The answer; begins again as often as somebody else had to be asked. Raises `StatusError`."""
        try:
            if request.user is None:
                self._enter(request)
            return await self._in_turn(request, request.info or _UNKNOWN)
        except Pending as pending:
            first = pending
        with waiting():
            while True:
                await first.ask()
                try:
                    return await self._again(request)
                except Pending as pending:
                    first = pending

    async def _again(self, request: Request) -> Response:
        request.user = request.flow = None
        request.warnings.clear()
        self._enter(request)
        return await self._in_turn(request, request.info or _UNKNOWN)

    async def _in_turn(self, request: Request, info: RequestInfo) -> Response:
        """The answer, once there is a seat on the request's priority level. Raises `StatusError`."""
        flow = request.flow
        if flow is None:
            return await self._in_time(request, info)
        tally = flow.tally
        limited = flow.level.limit is not None
        if limited and not await self._enter_level(flow):
            return responses.too_many_requests()
        tally.dispatched += 1
        tally.running += 1
        try:
            turns = self.ctx.flow_control.turns
            if limited and not turns.free(flow.key) and not await turns.wait(flow.key):
                return responses.too_many_requests()
            return await self._in_time(request, info)
        finally:
            tally.running -= 1
            if limited:
                flow.level.leave()

    def _at_once(self, flow: Flow, info: RequestInfo) -> bool:
        """Whether a read need not wait. Single objects never wait for a turn: they are less work than waiting is."""
        if flow.level.limit is None:
            return True
        return flow.level.free and (info.verb != "list" or self.ctx.flow_control.turns.free(flow.key))

    async def _enter_level(self, flow: Flow) -> bool:
        """Take a seat; False for who must come back later."""
        key = flow.labels
        if flow.level.free:
            return await flow.level.enter(flow.key)
        metrics, began = self.ctx.metrics.flows, time.perf_counter()
        entered = False
        metrics.waiting.add(key)
        try:
            entered = await flow.level.enter(flow.key)
        finally:
            seconds = time.perf_counter() - began
            metrics.waiting.add(key, -1)
            metrics.waited.observe(seconds, (*key, "true" if entered else "false"))
        if not entered:
            metrics.rejected.add((*key, flow_metrics.reason(flow.level, seconds)))
        return entered

    async def _in_time(self, request: Request, info: RequestInfo) -> Response:
        seconds = deadlines.seconds(request, info)
        answer = self._handler(request, info)
        if seconds is None:
            return await answer
        if seconds == deadlines.REQUEST_TIMEOUT:
            return await self._deadlines.keep(answer)
        return await deadlines.keep_within(seconds, answer)

    def _handler(self, request: Request, info: RequestInfo) -> Coroutine[Any, Any, Response]:
        """Who answers."""
        route = self.ctx.aggregator.route(request.path)
        if route is not None:
            return self.ctx.aggregator.answer(request, route)
        return dispatch.dispatch(self.ctx, request, info) if info.is_resource else self.nonresource.answer(request)

    def _enter(self, request: Request) -> None:
        for stage in STAGES:
            stage(self.ctx, request)

    def _enter_again(self, request: Request) -> None:
        for stage in _EACH_TIME:
            stage(self.ctx, request)

    def _count(self, request: Request, response: Response, began: float) -> None:
        if not request.trusted:
            audit_id.mark(request, response)
            if request.flow is not None:
                request.flow.mark(response)
        self.ctx.metrics.request(request.info or _UNKNOWN, request, response, time.perf_counter() - began)
        if self.ctx.auditor is not None:
            self.ctx.auditor.end(request, response)


def _failed(request: Request, error: Exception) -> Response:
    """The answer where a verb failed with what is no `StatusError`: the object's fault, or ours."""
    deep = isinstance(error, RecursionError)
    if not deep and not (type(error) is TypeError and any(part in str(error) for part in _UNREPRESENTABLE)):
        return _panic(request, error)
    _log.info("request refused", method=request.method, path=request.path, error=error)
    why = "exceeded max depth" if deep else str(error)
    return responses.error(bad_request(f"the object provided cannot be represented: {why}"), request)


def _store_failed(request: Request, failure: StoreError) -> Response:
    """500 without a reason, as Kubernetes answers when etcd fails it."""
    _log.warning("the store failed", method=request.method, path=request.path, error=failure)
    return responses.error(StatusError(500, "", str(failure)), request)


def _panic(request: Request, error: Exception) -> Response:
    if request.record is not None:
        request.record.panicked = True
    _log.error("request failed", method=request.method, path=request.path, error=error)
    text = f'"{request.method} {request.path}": {type(error).__name__}: {error}'
    return responses.error(internal(text), request)
