"""Health: `/healthz`, `/livez`, `/readyz`, their verbose forms, and one path a check.

A check is the name of something that must have been done (`done`) or must hold (`add`). Names are kube-apiserver's,
since dashboards and tests ask for them; each stands for the step of the start that does the same here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from knarr.apiserver import responses
from knarr.apiserver.request import Request, Response

#: The steps of a start.
STORE, CACHE, SYSTEM, RBAC, PRIORITY, FLOW, SERVICES, REGISTRATION = (
    "store",
    "cache",
    "system-namespaces",
    "rbac",
    "priority-classes",
    "flow-control",
    "services",
    "apiservices",
)
_HOOKS: tuple[tuple[str, str], ...] = (
    ("start-apiserver-admission-initializer", CACHE),
    ("generic-apiserver-start-informers", CACHE),
    ("priority-and-fairness-config-consumer", FLOW),
    ("priority-and-fairness-filter", FLOW),
    ("storage-object-count-tracker-hook", CACHE),
    ("start-apiextensions-informers", CACHE),
    ("start-apiextensions-controllers", CACHE),
    ("crd-informer-synced", CACHE),
    ("start-system-namespaces-controller", SYSTEM),
    ("peer-endpoint-reconciler-controller", SERVICES),
    ("start-cluster-authentication-info-controller", SYSTEM),
    ("start-kube-apiserver-identity-lease-controller", SYSTEM),
    ("start-kube-apiserver-identity-lease-garbage-collector", SYSTEM),
    ("storage-readiness", STORE),
    ("start-legacy-token-tracking-controller", SYSTEM),
    ("start-service-ip-repair-controllers", SERVICES),
    ("rbac/bootstrap-roles", RBAC),
    ("scheduling/bootstrap-system-priority-classes", PRIORITY),
    ("priority-and-fairness-config-producer", FLOW),
    ("bootstrap-controller", SERVICES),
    ("start-kubernetes-service-cidr-controller", SERVICES),
    ("start-kube-aggregator-informers", CACHE),
    ("apiservice-status-local-available-controller", REGISTRATION),
    ("apiservice-status-remote-available-controller", REGISTRATION),
    ("apiservice-registration-controller", REGISTRATION),
    ("apiservice-wait-for-first-sync", REGISTRATION),
    ("apiservice-discovery-controller", REGISTRATION),
    ("kube-apiserver-autoregistration", REGISTRATION),
)
_LAST: tuple[tuple[str, str], ...] = (
    ("apiservice-openapi-controller", REGISTRATION),
    ("apiservice-openapiv3-controller", REGISTRATION),
)
Check = Callable[[], bool]


class Health:
    """What the server's health depends on."""

    def __init__(self) -> None:
        self._done: set[str] = set()
        self.store_answers: Check = lambda: True
        self.shutting_down = False
        endpoints = {"/healthz": self._live("healthz"), "/livez": self._live("livez"), "/readyz": self._ready()}
        self._endpoints: Mapping[str, dict[str, Check]] = endpoints

    def done(self, step: str) -> None:
        """A step of the start is complete."""
        self._done.add(step)

    def add(self, name: str, check: Check) -> None:
        """Have health and readiness, but not whether the server lives, depend on a check more."""
        for endpoint in ("/healthz", "/readyz"):
            checks = self._endpoints[endpoint]
            last = {key: checks.pop(key) for key in ("shutdown",) if key in checks}
            checks |= {name: check, **last}

    def _step(self, step: str) -> Check:
        return lambda: step in self._done

    def _live(self, _name: str) -> dict[str, Check]:
        checks: dict[str, Check] = {"ping": lambda: True, "log": lambda: True}
        checks["loopback-serving-certificate"] = lambda: True
        checks["etcd"] = lambda: self.store_answers()
        return {**checks, **dict(self._start_checks())}

    def _ready(self) -> dict[str, Check]:
        checks: dict[str, Check] = {"ping": lambda: True, "log": lambda: True}
        checks["etcd"] = lambda: self.store_answers()
        checks["etcd-readiness"] = lambda: self.store_answers()
        checks["informer-sync"] = self._step(CACHE)
        return {**checks, **dict(self._start_checks()), "shutdown": lambda: not self.shutting_down}

    def _start_checks(self) -> Iterator[tuple[str, Check]]:
        for name, step in _HOOKS:
            yield f"poststarthook/{name}", self._step(step)
        yield "autoregister-completion", self._step(REGISTRATION)
        for name, step in _LAST:
            yield f"poststarthook/{name}", self._step(step)

    @property
    def ready(self) -> bool:
        """Whether `/readyz` says ok."""
        return all(check() for check in self._endpoints["/readyz"].values())

    def paths(self) -> Iterator[str]:
        """Every path that answers."""
        for endpoint, checks in self._endpoints.items():
            yield endpoint
            yield from (f"{endpoint}/{name}" for name in checks)

    def results(self) -> Iterator[tuple[str, str, bool]]:
        """(endpoint, check, whether it holds) of every check."""
        for endpoint, checks in self._endpoints.items():
            yield from ((endpoint[1:], name, check()) for name, check in checks.items())

    def answer(self, request: Request) -> Response | None:
        """The answer of a health path; None for other paths."""
        path = request.path.rstrip("/")
        for endpoint, checks in self._endpoints.items():
            if path == endpoint:
                return _report(endpoint, checks, request)
            if path.startswith(endpoint + "/"):
                check = checks.get(path[len(endpoint) + 1 :])
                if check is None:
                    return responses.page_not_found()
                return responses.text("ok") if check() else _failed("internal server error: check failed\n")
        return None


def _report(endpoint: str, checks: Mapping[str, Check], request: Request) -> Response:
    excluded = set(request.query_lists.get("exclude", ()))
    lines, well = [], True
    for name, check in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
        elif check():
            lines.append(f"[+]{name} ok")
        else:
            lines.append(f"[-]{name} failed: reason withheld")
            well = False
    label = endpoint[1:]
    if not well:
        return _failed("\n".join([*lines, f"{label} check failed", ""]))
    if "verbose" not in request.query:
        return responses.text("ok")
    return responses.text("\n".join([*lines, f"{label} check passed", ""]))


def _failed(body: str) -> Response:
    return responses.text(body, 500, {"X-Content-Type-Options": "nosniff"})
