"""How long a request may take: what it asks for, up to the server's limit; watches and streams as long as they like.

Source of the rules: k8s.io/apiserver/pkg/endpoints/filters/request_deadline.go, pkg/server/filters/timeout.go.
"""

from __future__ import annotations

from knarr.apimachinery import durations
from knarr.apimachinery.errors import StatusError, bad_request
from knarr.apiserver.request import Request, RequestInfo

#: Seconds; kube-apiserver's `--request-timeout`.
REQUEST_TIMEOUT = 60.0
_LONG_VERBS = frozenset({"watch", "proxy"})
_LONG_PARTS = frozenset({"attach", "exec", "proxy", "log", "portforward"})


def is_long_running(info: RequestInfo) -> bool:
    """Whether a request has no deadline."""
    return info.is_resource and (info.verb in _LONG_VERBS or info.subresource in _LONG_PARTS)


def seconds(request: Request, info: RequestInfo) -> float | None:
    """How long the request may take; None: without limit. Raises `StatusError` 400 for a timeout that is none."""
    if is_long_running(info):
        return None
    text = request.query.get("timeout", "")
    if not text:
        return REQUEST_TIMEOUT
    try:
        wanted = durations.parse(text)
    except ValueError as error:
        raise bad_request(f"invalid timeout specified in the request URL - {error}") from error
    return wanted if 0 < wanted < REQUEST_TIMEOUT else REQUEST_TIMEOUT


def exceeded() -> StatusError:
    """504: the time is over."""
    return StatusError(504, "Timeout", "Timeout: request did not complete within the allotted timeout", {})
