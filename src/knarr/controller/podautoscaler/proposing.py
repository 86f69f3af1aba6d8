"""What each metric of an autoscaler asks for, and what its status says of it. Pure.

Source of the rules and texts: pkg/controller/podautoscaler/horizontal.go (computeReplicasForMetric and below).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from knarr.apimachinery import quantity
from knarr.apimachinery.types import Object
from knarr.controller.podautoscaler import calculating, sources
from knarr.controller.podautoscaler.calculating import MetricError, Proposal, Scaled
from knarr.controller.podautoscaler.sources import Sources

T = TypeVar("T")


class Proposed(NamedTuple):
    """A number of pods, the metric it comes from as texts name it, and the metric's entry in the status."""

    replicas: int
    name: str
    status: Object


class Unusable(Exception):
    """A metric that asks for nothing. `reason` and the text are the condition's, `told` is what else is told."""

    def __init__(self, reason: str, text: str, told: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.told = told


@dataclass(frozen=True, slots=True)
class Proposing:
    """Computes the proposals of one autoscaler's metrics."""

    scaled: Scaled
    sources: Sources

    def propose(self, metric: Object) -> Proposed:
        """What a metric asks for. Raises `Unusable`."""
        kind = metric.get("type", "")
        found = _KINDS.get(kind)
        if found is None:
            why = f'unknown metric source type "{kind}"'
            raise Unusable("InvalidMetricSourceType", why, why)
        reason, told, compute = found
        try:
            return compute(self, metric)
        except MetricError as error:
            raise Unusable(reason, str(error), f"{told(metric)}: {error}") from error

    def resource(self, metric: Object) -> Proposed:
        """Of CPU, memory and so on, in all containers."""
        return self._of_resource(metric, "resource", "")

    def container_resource(self, metric: Object) -> Proposed:
        """Of one container in each pod."""
        return self._of_resource(metric, "containerResource", metric["containerResource"]["container"])

    def _of_resource(self, metric: Object, field: str, container: str) -> Proposed:
        source = metric[field]
        name, target = source["name"], source["target"]
        shown: Object = {"name": name, **({"container": container} if container else {})}
        if target.get("averageValue") is not None:
            proposal = self._measured(
                f"failed to get {name} usage",
                lambda: calculating.by_average(
                    self.scaled, self._use(name, container), _milli(target["averageValue"]), name
                ),
            )
            current: Object = {"averageValue": _shown(proposal.usage)}
            return _proposed(proposal, f"{name} resource", metric["type"], {field: {**shown, "current": current}})
        percent = target.get("averageUtilization")
        if percent is None:
            raise MetricError(
                "invalid resource metric source: neither an average utilization target nor an average value (usage) "
                "target was set"
            )
        proposal = self._measured(
            f"failed to get {name} utilization",
            lambda: calculating.by_utilization(self.scaled, self._use(name, container), percent, name, container),
        )
        current = {"averageUtilization": proposal.utilization, "averageValue": _shown(proposal.usage)}
        called = "container resource" if container else "resource"
        text = f"{name} {called} utilization (percentage of request)"
        return _proposed(proposal, text, metric["type"], {field: {**shown, "current": current}})

    def _use(self, name: str, container: str) -> dict[str, calculating.Measured]:
        try:
            return self.sources.of_resource(name, container)
        except MetricError as error:
            raise MetricError(f"unable to get metrics for resource {name}: {error}") from error

    def pods(self, metric: Object) -> Proposed:
        """Of a custom metric of each pod."""
        source = metric["pods"]
        name = source["metric"]["name"]
        measured = self._measured(f"unable to get metric {name}", lambda: self.sources.of_pods(metric))
        proposal = calculating.by_average(self.scaled, measured, _milli(source["target"]["averageValue"]))
        current = {"averageValue": _shown(proposal.usage)}
        return _proposed(
            proposal, f"pods metric {name}", "Pods", {"pods": {"metric": source["metric"], "current": current}}
        )

    def object(self, metric: Object) -> Proposed:
        """Of a custom metric of one object."""
        source = metric["object"]
        wanted, about, target = source["metric"], source["describedObject"], source["target"]
        shown = {"describedObject": about, "metric": wanted}
        kind = target.get("type")
        if kind == "Value" and target.get("value") is not None:
            proposal = calculating.by_total(self.scaled, self._object_use(metric), _milli(target["value"]))
            shown["current"] = {"value": _shown(proposal.usage)}
            return _proposed(proposal, f"{about['kind']} metric {wanted['name']}", "Object", {"object": shown})
        if kind == "AverageValue" and target.get("averageValue") is not None:
            proposal = self._measured(
                f"failed to get {wanted['name']} object metric",
                lambda: calculating.by_share(self.scaled, self._object_use(metric), _milli(target["averageValue"])),
            )
            shown["current"] = {"averageValue": _shown(proposal.usage)}
            text = f"external metric {wanted['name']}({sources.described(wanted)})"
            return _proposed(proposal, text, "Object", {"object": shown})
        raise MetricError("invalid object metric source: neither a value target nor an average value target was set")

    def _object_use(self, metric: Object) -> int:
        name, about = metric["object"]["metric"]["name"], metric["object"]["describedObject"]
        try:
            return self.sources.of_object(metric)
        except MetricError as error:
            # Kubernetes fills its sentence in another order than it was meant.
            where = f"{about['kind']} on {self.sources.namespace} {about['name']}/{error}"
            raise MetricError(f"unable to get metric {name}: {where}") from error

    def external(self, metric: Object) -> Proposed:
        """Of a metric of something outside the cluster."""
        source = metric["external"]
        wanted, target = source["metric"], source["target"]
        shown: Object = {"metric": wanted}
        text = f"external metric {wanted['name']}({sources.described(wanted)})"
        if target.get("averageValue") is not None:
            proposal = self._measured(
                f"failed to get {wanted['name']} external metric",
                lambda: calculating.by_share(self.scaled, self._external_use(metric), _milli(target["averageValue"])),
            )
            shown["current"] = {"averageValue": _shown(proposal.usage)}
            return _proposed(proposal, text, "External", {"external": shown})
        if target.get("value") is not None:
            proposal = self._measured(
                f"failed to get external metric {wanted['name']}",
                lambda: calculating.by_total(self.scaled, self._external_use(metric), _milli(target["value"])),
            )
            shown["current"] = {"value": _shown(proposal.usage)}
            return _proposed(proposal, text, "External", {"external": shown})
        raise MetricError("invalid external metric source: neither a value target nor an average value target was set")

    def _external_use(self, metric: Object) -> int:
        wanted = metric["external"]["metric"]
        what = f"unable to get external metric {self.sources.namespace}/{wanted['name']}/{sources.described(wanted)}"
        try:
            return self.sources.of_external(metric)
        except MetricError as error:
            raise MetricError(f"{what}: {error}") from error

    def _measured(self, what: str, compute: Callable[[], T]) -> T:
        try:
            return compute()
        except MetricError as error:
            raise MetricError(f"{what}: {error}") from error


#: By type: the reason of the condition, what is told beside it, who computes.
_KINDS: dict[str, tuple[str, Callable[[Object], str], Callable[[Proposing, Object], Proposed]]] = {
    "Resource": (
        "FailedGetResourceMetric",
        lambda metric: f"failed to get {metric['resource']['name']} resource metric value",
        Proposing.resource,
    ),
    "ContainerResource": (
        "FailedGetContainerResourceMetric",
        lambda metric: f"failed to get {metric['containerResource']['container']} container metric value",
        Proposing.container_resource,
    ),
    "Pods": ("FailedGetPodsMetric", lambda metric: "failed to get pods metric value", Proposing.pods),
    "Object": ("FailedGetObjectMetric", lambda metric: "failed to get object metric value", Proposing.object),
    "External": (
        "FailedGetExternalMetric",
        lambda metric: f"failed to get {metric['external']['metric']['name']} external metric value",
        Proposing.external,
    ),
}


def _proposed(proposal: Proposal, name: str, kind: str, fields: Object) -> Proposed:
    return Proposed(proposal.replicas, name, {"type": kind, **fields})


def _milli(text: str) -> int:
    return quantity.parse(text).milli()


def _shown(milli: int) -> str:
    return str(quantity.of_milli(milli))
