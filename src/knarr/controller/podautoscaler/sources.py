"""Where the figures of a metric come from: what to ask for, and what the answers say. Pure.

Source of the rules and texts: pkg/controller/podautoscaler/metrics (client.go), k8s.io/metrics/pkg/client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from knarr.apimachinery import durations, labels, quantity, timestamps
from knarr.apimachinery.types import Object
from knarr.controller.podautoscaler import targets
from knarr.controller.podautoscaler.calculating import Measured, MetricError
from knarr.controller_runtime.changes import Attempt, Lookup
from knarr.controller_runtime.snapshot import Snapshot

T = TypeVar("T")
RESOURCE, CUSTOM, EXTERNAL = "metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"
#: The versions of custom metrics that are understood, the best first.
_VERSIONS = ("v1beta2", "v1beta1")
#: Seconds that a custom figure is of where it does not say.
_WINDOW = 60.0
_DISCOVERY = Attempt(f"/apis/{CUSTOM}")
#: Statuses without a body of Kubernetes' own, as client-go words them.
_WORDS = {
    404: "the server could not find the requested resource",
    503: "the server is currently unable to handle the request",
}


@dataclass(frozen=True, slots=True)
class Sources:
    """What the metrics of one namespace's pods (by `selector`, as text) are found by, and the answers so far."""

    namespace: str
    selector: str
    snapshot: Snapshot
    live: Mapping[Lookup, Object | None]

    # what to ask for

    def lookups(self, metric: Object) -> tuple[Attempt, ...]:
        """What has to be asked for a metric, as far as that is known. Nothing for one that cannot be asked for."""
        kind = metric.get("type")
        if kind in ("Resource", "ContainerResource"):
            return (self._pods_path(),)
        if kind == "External":
            return (self._external_path(metric["external"]["metric"]),)
        if kind not in ("Pods", "Object"):
            return ()
        version = self._version()
        if not version:
            return (_DISCOVERY,)
        try:
            path = self._custom_path(version, metric)
        except MetricError:
            return (_DISCOVERY,)
        return (_DISCOVERY, path)

    def _pods_path(self) -> Attempt:
        return Attempt(f"/apis/{RESOURCE}/v1beta1/namespaces/{self.namespace}/pods", _selecting(self.selector))

    def _external_path(self, metric: Object) -> Attempt:
        path = f"/apis/{EXTERNAL}/v1beta1/namespaces/{self.namespace}/{quote(metric['name'])}"
        return Attempt(path, _selecting(_text(metric)))

    def _custom_path(self, version: str, metric: Object) -> Attempt:
        base = f"/apis/{CUSTOM}/{version}/namespaces/"
        if metric["type"] == "Pods":
            wanted = metric["pods"]["metric"]
            selecting = (*_selecting(self.selector), *_selecting(_text(wanted), "metricLabelSelector"))
            return Attempt(f"{base}{self.namespace}/pods/*/{wanted['name']}", selecting)
        wanted, about = metric["object"]["metric"], metric["object"]["describedObject"]
        selecting = _selecting(_text(wanted), "metricLabelSelector")
        if about.get("kind") == "Namespace" and about.get("apiVersion", "v1") in ("", "v1"):
            return Attempt(f"{base}{about['name']}/metrics/{wanted['name']}", selecting)
        try:
            resource = targets.of(about, self.snapshot)
        except targets.TargetError as error:
            raise MetricError(f"unable to fetch metrics from custom metrics API: {error}") from error
        named = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
        return Attempt(f"{base}{self.namespace}/{named}/{about['name']}/{wanted['name']}", selecting)

    def _version(self) -> str:
        """The version in which custom metrics are served; empty where they are not, or that is not known yet."""
        group = self.live.get(_DISCOVERY) or {}
        try:
            served = {one.get("version") for one in group.get("versions") or ()}
        except (AttributeError, TypeError):
            return ""  # that is no discovery
        return next((version for version in _VERSIONS if version in served), "")

    # what was answered

    def of_resource(self, name: str, container: str = "") -> dict[str, Measured]:
        """What pods, or a container of each, use of a resource. Raises `MetricError`."""
        items = self._items(self._pods_path(), "resource", f"pods.{RESOURCE}")
        return _read("resource", lambda: _uses(items, name, container))

    def of_pods(self, metric: Object) -> dict[str, Measured]:
        """A custom metric of each pod. Raises `MetricError`."""
        items = self._custom(metric)
        return _read("custom", lambda: {one["describedObject"]["name"]: _custom_value(one) for one in items})

    def of_object(self, metric: Object) -> int:
        """A custom metric of an object. Raises `MetricError`."""
        items = self._custom(metric)
        return _read("custom", lambda: _milli(items[0]))

    def of_external(self, metric: Object) -> int:
        """The sum of an external metric. Raises `MetricError`."""
        wanted = metric["external"]["metric"]
        items = self._items(self._external_path(wanted), "external", f"{wanted['name']}.{EXTERNAL}")
        return _read("external", lambda: sum(map(_milli, items)))

    def _custom(self, metric: Object) -> list[Object]:
        version = self._version()
        if not version:
            group = self.live.get(_DISCOVERY) or {}
            missing = f"no custom metrics API ({CUSTOM}) registered"
            why = _refusal(group, "") if _is_status(group) and group.get("code") not in (404, 503) else missing
            raise MetricError(f"unable to fetch metrics from custom metrics API: {why}")
        path = self._custom_path(version, metric)
        return self._items(path, "custom", f"{path.path.split('/')[-3]}.{CUSTOM}")

    def _items(self, wanted: Attempt, api: str, what: str) -> list[Object]:
        answer = self.live.get(wanted) or {}
        if _is_status(answer):
            raise MetricError(f"unable to fetch metrics from {api} metrics API: {_refusal(answer, what)}")
        items = answer.get("items") if isinstance(answer, dict) else None
        if not items or not isinstance(items, list):
            raise MetricError(f"no metrics returned from {api} metrics API")
        return items


def described(metric: Object) -> str:
    """A metric's selector as Go prints it."""
    selector = metric.get("selector")
    if selector is None:
        return "nil"
    pairs = "".join(f"{name}: {value}," for name, value in sorted((selector.get("matchLabels") or {}).items()))
    rules = "".join(map(_rule, selector.get("matchExpressions") or ()))
    matched = f"map[string]string{{{pairs}}}"
    return f"&LabelSelector{{MatchLabels:{matched},MatchExpressions:[]LabelSelectorRequirement{{{rules}}},}}"


def _rule(one: Object) -> str:
    values = " ".join(one.get("values") or ())
    return f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},Values:[{values}],}},"


def _selecting(selector: str, name: str = "labelSelector") -> tuple[tuple[str, str], ...]:
    return ((name, selector),) if selector else ()


def _text(metric: Object) -> str:
    """The selector of a metric as a parameter."""
    return str(labels.from_object(metric["selector"])) if metric.get("selector") is not None else ""


def _is_status(answer: object) -> bool:
    return isinstance(answer, dict) and answer.get("kind") == "Status"


def _refusal(answer: Object, what: str) -> str:
    """Why an API did not answer, as client-go words it."""
    code = answer.get("code", 0)
    if not answer.get("reason") and code in _WORDS:
        return f"{_WORDS[code]} (get {what})"
    return str(answer.get("message", ""))


def _read(api: str, compute: Callable[[], T]) -> T:
    """What an answer says; another server may answer anything. Raises `MetricError`."""
    try:
        return compute()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise MetricError(
            f"unable to fetch metrics from {api} metrics API: the answer makes no sense: {what}"
        ) from error


def _uses(items: Iterable[Object], name: str, container: str) -> dict[str, Measured]:
    found: dict[str, Measured] = {}
    for one in items:
        value = _container_use(one, name, container) if container else _pod_use(one, name)
        if value is not None:
            moment, window = timestamps.parse(one["timestamp"]), durations.parse(one["window"])
            found[one["metadata"]["name"]] = Measured(value, moment, window)
    return found


def _custom_value(one: Object) -> Measured:
    window = one.get("windowSeconds")
    return Measured(_milli(one), timestamps.parse(one["timestamp"]), _WINDOW if window is None else float(window))


def _milli(one: Object) -> int:
    return quantity.parse(one["value"]).milli()


def _pod_use(one: Object, resource: str) -> int | None:
    """The sum over containers; None where one does not tell."""
    used = [(container.get("usage") or {}).get(resource) for container in one.get("containers") or ()]
    if not all(each is not None for each in used):
        return None
    return _sum(each for each in used if each is not None)


def _container_use(one: Object, resource: str, container: str) -> int | None:
    for each in one.get("containers") or ():
        if each["name"] == container:
            used = (each.get("usage") or {}).get(resource)
            return quantity.parse(used).milli() if used is not None else None
    meta = one["metadata"]
    where = f"{meta.get('namespace', '')}/{meta['name']}"
    raise MetricError(f"failed to get container metrics: container {container} not present in metrics for pod {where}")


def _sum(values: Iterable[str]) -> int:
    return sum(quantity.parse(each).milli() for each in values)
