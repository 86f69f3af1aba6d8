"""Autoscalers at work: against an API in memory whose metrics the test makes up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.world import World, run

from knarr.api.registry import DEPLOYMENTS, HPAS, PODS
from knarr.api.semantics import conditions
from knarr.apimachinery import errors, timestamps
from knarr.apimachinery.types import Object
from knarr.controller import podautoscaler

NS = "default"


class Load:
    """What each pod of a Deployment uses, in thousandths of a core; `pods` plays the Deployment."""

    def __init__(self, world: World, use: int | None = 500) -> None:
        self.world, self.api, self.use = world, world.api, use
        self.api.outside["metrics.k8s.io"] = self.answer

    def answer(self, path: str, query: Mapping[str, str]) -> Object:
        if self.use is None:
            raise errors.service_unavailable("the metrics are not there")
        now = timestamps.seconds(self.world.clock.now())
        usage = {"cpu": f"{self.use}m", "memory": "10Mi"}
        items = [
            {
                "metadata": {"name": pod["metadata"]["name"], "namespace": NS},
                "timestamp": now,
                "window": "15s",
                "containers": [{"name": "c", "usage": usage}],
            }
            for pod in self.api.list(PODS, NS)
            if query["labelSelector"] == "app=" + pod["metadata"]["labels"]["app"]
        ]
        return {"kind": "PodMetricsList", "metadata": {}, "items": items}

    def follow(self, name: str = "web") -> None:
        """Make pods as many as the Deployment asks for."""
        wanted = self.size(name)
        have = {pod["metadata"]["name"] for pod in self.api.list(PODS, NS) if pod["metadata"]["labels"]["app"] == name}
        names = {f"{name}-{at}" for at in range(wanted)}
        long_ago = "2025-01-01T00:00:00Z"
        for each in sorted(names - have):
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": long_ago}
            container = {"name": "c", "resources": {"requests": {"cpu": "1"}}}
            self.api.put(
                PODS,
                {
                    "metadata": {"name": each, "namespace": NS, "labels": {"app": name}},
                    "spec": {"containers": [container]},
                    "status": {"phase": "Running", "startTime": long_ago, "conditions": [ready]},
                },
            )
        for each in sorted(have - names):
            self.api.remove(PODS, (NS, each))
        self.api.set_status(DEPLOYMENTS, NS, name, replicas=wanted)

    def size(self, name: str = "web") -> int:
        return int(self.api.get(DEPLOYMENTS, NS, name)["spec"]["replicas"])

    def deploy(self, name: str = "web", replicas: int = 2) -> None:
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}}
        self.api.create(DEPLOYMENTS, {"metadata": {"name": name, "namespace": NS}, "spec": spec})
        self.follow(name)

    def scale_by(self, name: str = "web", target: str = "web", **spec: Any) -> None:
        metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 50}}}
        whole = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": 1,
            "maxReplicas": 10,
            "metrics": [metric],
            **spec,
        }
        self.api.create(HPAS, {"metadata": {"name": name, "namespace": NS}, "spec": whole})

    def status(self, name: str = "web") -> Object:
        found: Object = self.api.get(HPAS, NS, name).get("status") or {}
        return found

    def reasons(self, name: str = "web") -> dict[str, tuple[str, str]]:
        hpa = self.api.get(HPAS, NS, name)
        return {one["type"]: (one["status"], one["reason"]) for one in conditions.listed(hpa)}


def tell(story: Any, **options: Any) -> World:
    async def told(world: World) -> None:
        await story(world, Load(world))

    return run(told, [podautoscaler.controller()], **options)


def figures(world: World) -> dict[str, float]:
    """The controller's own metrics, without what they all begin with."""
    prefix = "horizontal_pod_autoscaler_controller_"
    lines = [line for family in world.manager.metrics() for line in family.lines() if line.startswith(prefix)]
    return {name.removeprefix(prefix): float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_a_target_grows_with_the_load_and_shrinks_after_a_while() -> None:
    async def story(world: World, load: Load) -> None:
        load.deploy()
        load.use = 1000
        load.scale_by()
        await world.settle()
        assert load.size() == 4, "twice as much is used as wanted"
        assert load.status()["desiredReplicas"] == 4 and load.status()["currentReplicas"] == 2
        assert load.status()["lastScaleTime"] == timestamps.seconds(world.clock.now())
        [metric] = load.status()["currentMetrics"]
        assert metric["resource"]["current"] == {"averageUtilization": 100, "averageValue": "1"}
        assert load.reasons() == {
            "AbleToScale": ("True", "SucceededRescale"),
            "ScalingActive": ("True", "ValidMetricFound"),
            "ScalingLimited": ("False", "DesiredWithinRange"),
        }
        load.follow()
        load.use = 100
        await world.advance(290, 5)
        assert load.size() == 4 and load.reasons()["AbleToScale"] == ("True", "ScaleDownStabilized")
        await world.advance(40, 5)
        assert load.size() == 1

    world = tell(story)
    assert [note.message for note in world.notes.taken] == [
        "New size: 4; reason: cpu resource utilization (percentage of request) above target",
        "New size: 1; reason: All metrics below target",
    ]
    counted = figures(world)
    assert counted['reconciliations_total{action="scale_up",error="none"}'] == 1
    assert counted['reconciliations_total{action="scale_down",error="none"}'] == 1
    assert counted["num_horizontal_pod_autoscalers"] == 1
    assert counted['desired_replicas{namespace="default",hpa_name="web"}'] == 1


def test_a_target_out_of_bounds_is_brought_back_and_one_of_none_left_alone() -> None:
    async def story(world: World, load: Load) -> None:
        load.deploy(replicas=12)
        load.scale_by()
        await world.settle()
        assert load.size() == 10
        load.api.change_spec(HPAS, NS, "web", minReplicas=10)
        load.api.change_spec(DEPLOYMENTS, NS, "web", replicas=3)
        await world.advance(15, 5)
        assert load.size() == 10
        load.api.change_spec(DEPLOYMENTS, NS, "web", replicas=0)
        await world.advance(60, 5)
        assert load.size() == 0
        assert load.reasons()["ScalingActive"] == ("False", "ScalingDisabled")

    world = tell(story)
    assert [note.message for note in world.notes.taken] == [
        "New size: 10; reason: Current number of replicas above Spec.MaxReplicas",
        "New size: 10; reason: Current number of replicas below Spec.MinReplicas",
    ]


def test_what_cannot_be_scaled_is_told_and_looked_at_every_fifteen_seconds_only() -> None:
    async def story(world: World, load: Load) -> None:
        load.scale_by("gone", "gone")
        load.scale_by("kindless", scaleTargetRef={"apiVersion": "foo/v1", "kind": "Bar", "name": "x"})
        load.scale_by("job", scaleTargetRef={"apiVersion": "batch/v1", "kind": "Job", "name": "x"})
        await world.settle()
        for name in ("gone", "kindless", "job"):
            assert load.reasons(name) == {"AbleToScale": ("False", "FailedGetScale")}
        before = len(world.api.requests)
        await world.advance(600, 5)
        assert len(world.api.requests) - before <= 2 * 41, "two scales are read, forty times"

    world = tell(story)
    counted = figures(world)
    assert counted['reconciliations_total{action="none",error="internal"}'] >= 3
    messages = {note.message for note in world.notes.taken}
    assert {'deployments.apps "gone" not found', 'no matches for kind "Bar" in group "foo"'} <= messages
    assert {note.reason for note in world.notes.taken} == {"FailedGetScale"}


def test_without_metrics_nothing_is_scaled() -> None:
    async def story(world: World, load: Load) -> None:
        load.deploy()
        load.use = None
        load.scale_by()
        await world.settle()
        assert load.size() == 2 and load.reasons()["ScalingActive"] == ("False", "FailedGetResourceMetric")
        assert load.status()["currentMetrics"] == [{"type": ""}]
        load.use = 2000
        await world.advance(15, 5)
        assert load.size() == 4, "no more than twice as many at once"
        assert load.reasons()["ScalingLimited"] == ("True", "ScaleUpLimit")

    world = tell(story)
    why = (
        "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource "
    )
    why += "metrics API: the metrics are not there"
    first, second, *_ = world.notes.messages()
    assert first == f"Warning FailedGetResourceMetric: {why}"
    assert second == (
        "Warning FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get cpu "
        f"resource metric value: {why}"
    )


def test_a_metric_that_fails_lets_others_scale_up_but_not_down() -> None:
    async def story(world: World, load: Load) -> None:
        load.deploy()
        cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 50}}}
        queue = {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"averageValue": "1"}}}
        load.scale_by(metrics=[queue, cpu])
        load.use = 100
        await world.settle()
        assert load.size() == 2 and load.reasons()["ScalingActive"] == ("False", "FailedGetExternalMetric")
        load.use = 1000
        await world.advance(15, 5)
        assert load.size() == 4 and load.reasons()["ScalingActive"] == ("True", "ValidMetricFound")

    tell(story)


def test_metrics_of_pods_objects_and_the_world_outside() -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    def custom(path: str, query: Mapping[str, str]) -> Object:
        if path == "/apis/custom.metrics.k8s.io":
            return {"kind": "APIGroup", "versions": [{"version": "v1beta1"}, {"version": "v1beta2"}]}
        asked.append((path, dict(query)))
        items = [{"describedObject": {"name": name}, "value": "4", "timestamp": "2026-01-01T00:00:00Z"}
                 for name in ("web-0", "web-1")]  # fmt: skip
        return {"kind": "MetricValueList", "items": items}

    def external(path: str, query: Mapping[str, str]) -> Object:
        asked.append((path, dict(query)))
        return {"kind": "ExternalMetricValueList", "items": [{"value": "4"}, {"value": "8"}]}

    async def story(world: World, load: Load) -> None:
        load.api.outside |= {"custom.metrics.k8s.io": custom, "external.metrics.k8s.io": external}
        load.deploy()
        chosen = {"matchLabels": {"a": "b"}}
        about = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "main"}
        value = {"type": "Value", "value": "4"}
        load.scale_by(
            metrics=[
                {"type": "Pods", "pods": {"metric": {"name": "qps"}, "target": {"averageValue": "4"}}},
                {"type": "Object", "object": {"metric": {"name": "hits"}, "describedObject": about, "target": value}},
                {
                    "type": "External",
                    "external": {"metric": {"name": "queue", "selector": chosen}, "target": {"averageValue": "4"}},
                },
            ]
        )
        await world.settle()
        assert load.size() == 3, "twelve outside, four for each"
        pods, on_object, outside = load.status()["currentMetrics"]
        assert pods["pods"]["current"] == {"averageValue": "4"}
        assert on_object["object"]["current"] == {"value": "4"}
        assert outside["external"]["current"] == {"averageValue": "6"}

    world = tell(story)
    base = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default"
    assert (f"{base}/pods/*/qps", {"labelSelector": "app=web"}) in asked
    assert (f"{base}/ingresses.networking.k8s.io/main/hits", {}) in asked
    assert ("/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue", {"labelSelector": "a=b"}) in asked
    selector = "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}"
    assert world.notes.messages() == [
        f"Normal SuccessfulRescale: New size: 3; reason: external metric queue({selector}) above target"
    ]


def test_autoscalers_that_fight_over_a_target_do_bounded_work() -> None:
    async def story(world: World, load: Load) -> None:
        load.deploy(replicas=4)
        load.use = 500
        load.scale_by("low", maxReplicas=4)
        load.scale_by("high", minReplicas=4, maxReplicas=9)
        await world.settle()
        before = len(world.api.requests)
        await world.advance(300, 5)
        for name in ("low", "high"):
            assert load.reasons(name)["ScalingActive"] == ("False", "AmbiguousSelector")
        assert load.size() == 4
        assert len(world.api.requests) - before <= 2 * 21 * 3, "each looks once in 15 s"
        load.api.change_spec(HPAS, NS, "high", minReplicas=6)
        before = len(world.api.requests)
        await world.advance(300, 5)
        assert len(world.api.requests) - before <= 2 * 22 * 4, "bounds pull both ways, once in 15 s"

    world = tell(story)
    told = "pods by selector app=web are controlled by multiple HPAs: [{high default} {low default}]"
    assert told in {note.message for note in world.notes.taken if note.reason == "AmbiguousSelector"}


def test_a_refused_change_of_size_is_told_and_waits() -> None:
    async def story(world: World, load: Load) -> None:
        load.deploy()
        load.use = 1000

        def before(method: str, path: str) -> None:
            if method == "PUT" and path.endswith("/scale"):
                raise errors.forbidden("deployments", "apps", "web", "quota")

        world.transport.before = before
        load.scale_by()
        await world.settle()
        await world.advance(1)
        assert load.reasons()["AbleToScale"] == ("False", "FailedUpdateScale")
        refusals = len([note for note in world.notes.taken if note.reason == "FailedRescale"])
        await world.advance(60, 5)
        more = len([note for note in world.notes.taken if note.reason == "FailedRescale"]) - refusals
        assert 1 <= more <= 5
        world.transport.before = lambda method, path: None
        await world.advance(30, 5)
        assert load.size() == 4 and load.reasons()["AbleToScale"][0] == "True"

    tell(story)
