"""Who may use the kubelet's API: authentication and authorization, both asked of the API server and remembered.

Client certificates of the cluster's authority are verified by TLS already. Source: k8s.io/kubernetes
pkg/kubelet/server/auth.go and the documentation of kubelet authentication and authorization.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from typing import Generic, TypeVar

from knarr.api import registry
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.component_base.clock import Clock
from knarr.component_base.http import Request, UserInfo

#: Seconds an answer of the API server is remembered (Kubernetes' defaults).
TOKEN_SECONDS, ALLOWED_SECONDS, DENIED_SECONDS = 120.0, 300.0, 30.0
_LARGEST_CACHE = 4096
_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
#: The subresource of `nodes` that a path stands for; the first that fits.
_SUBRESOURCES = (("/stats", "stats"), ("/metrics", "metrics"), ("/logs", "log"), ("/checkpoint", "checkpoint"))
#: What may be granted alone; who has `nodes/proxy` may do it as well.
_FINE_GRAINED = (
    ("/healthz", "healthz"),
    ("/configz", "configz"),
    ("/pods", "pods"),
    ("/runningpods", "pods"),
)
_TOKEN_REVIEWS = registry.resource("tokenreviews", "authentication.k8s.io")
_ACCESS_REVIEWS = registry.resource("subjectaccessreviews", "authorization.k8s.io")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def verb(method: str) -> str:
    """The verb of a method; empty for one that stands for none."""
    return _VERBS.get(method, "")


def subresources(path: str) -> tuple[str, ...]:
    """The subresources of `nodes` any of which opens a path."""
    for prefix, name in _SUBRESOURCES:
        if _below(path, prefix):
            return (name,)
    for prefix, name in _FINE_GRAINED:
        if _below(path, prefix):
            return (name, "proxy")
    return ("proxy",)


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")


class Remembered(Generic[K, V]):
    """Answers that are good for some seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        """What is known and still good."""
        found = self._known.get(key)
        return found[1] if found is not None and self._clock.monotonic() < found[0] else None

    def put(self, key: K, value: V, seconds: float) -> None:
        """Remember."""
        if len(self._known) >= _LARGEST_CACHE:
            self._known.clear()
        self._known[key] = (self._clock.monotonic() + seconds, value)


class Access:
    """Asks the API server, as the kubelet, who somebody is and what he may do on this node."""

    def __init__(self, client: Client, node_name: str, clock: Clock) -> None:
        self._client = client
        self._node = node_name
        self._users: Remembered[bytes, UserInfo] = Remembered(clock)
        self._allowed: Remembered[Hashable, bool] = Remembered(clock)

    async def user(self, request: Request) -> UserInfo | None:
        """Who asks; None for nobody. Raises `StatusError` or `ConnectionError` when it cannot be found out."""
        if request.peer is not None:
            name, groups = request.peer
            return UserInfo(name, (*groups, "system:authenticated"))
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        return await self._user_of(token.strip())

    async def _user_of(self, token: str) -> UserInfo | None:
        key = hashlib.sha256(token.encode()).digest()
        known = self._users.get(key)
        if known is not None:
            return known
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        status = (await self._client.create(_TOKEN_REVIEWS, review)).get("status") or {}
        if not status.get("authenticated"):
            return None
        found = status.get("user") or {}
        extra = {name: tuple(values) for name, values in (found.get("extra") or {}).items()}
        user = UserInfo(found.get("username", ""), tuple(found.get("groups") or ()), found.get("uid", ""), extra)
        self._users.put(key, user, TOKEN_SECONDS)
        return user

    async def allowed(self, user: UserInfo, request: Request) -> bool:
        """Whether the request is allowed. Raises `StatusError` or `ConnectionError`."""
        what = verb(request.method)
        for name in subresources(request.path):
            if await self._may(user, what, name):
                return True
        return False

    async def _may(self, user: UserInfo, what: str, subresource: str) -> bool:
        extra = tuple(sorted(user.extra.items()))
        key = (user.name, user.groups, user.uid, extra, what, subresource)
        known = self._allowed.get(key)
        if known is not None:
            return known
        review = self._review(user, what, subresource)
        answer = await self._client.create(_ACCESS_REVIEWS, review)
        allowed = bool((answer.get("status") or {}).get("allowed"))
        self._allowed.put(key, allowed, ALLOWED_SECONDS if allowed else DENIED_SECONDS)
        return allowed

    def _review(self, user: UserInfo, what: str, subresource: str) -> Object:
        attributes = {
            "verb": what,
            "version": "v1",
            "resource": "nodes",
            "subresource": subresource,
            "name": self._node,
        }
        spec: Object = {"user": user.name, "groups": list(user.groups), "resourceAttributes": attributes}
        if user.uid:
            spec["uid"] = user.uid
        if user.extra:
            spec["extra"] = {name: list(values) for name, values in user.extra.items()}
        return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
