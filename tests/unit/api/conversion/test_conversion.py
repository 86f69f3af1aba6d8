from __future__ import annotations

from typing import Any

import orjson

from knarr.api import codec, conversion, registry
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object

HPA_V1, HPA_V2 = (
    next(item for item in registry.RESOURCES if (item.version, item.plural) == (version, "horizontalpodautoscalers"))
    for version in ("v1", "v2")
)


def optional(version: str, plural: str) -> Resource:
    return next(item for item in registry.OPTIONAL if (item.version, item.plural) == (version, plural))


def canonical(resource: Resource, body: Any) -> Object:
    return codec.normalise(resource.api_version, resource.kind, body).object


def there_and_back(obj: Object, source: Resource, target: Resource) -> Object:
    return conversion.convert(conversion.convert(obj, source, target), target, source)


def test_cpu_utilization_is_a_field_of_v1() -> None:
    old = canonical(HPA_V1, {"metadata": {"name": "x"}, "spec": {"targetCPUUtilizationPercentage": 70}})
    new = conversion.convert(old, HPA_V1, HPA_V2)
    target = {"type": "Utilization", "averageUtilization": 70}
    assert new["spec"]["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    assert new["apiVersion"] == "autoscaling/v2"
    assert there_and_back(old, HPA_V1, HPA_V2) == old


def test_what_v1_lacks_survives_in_annotations() -> None:
    reference = {"kind": "Service", "name": "s"}
    metrics = [
        {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
        {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}}},
        {
            "type": "Object",
            "object": {
                "describedObject": reference,
                "metric": {"name": "o"},
                "target": {"type": "Value", "value": "2"},
            },
        },
        {
            "type": "External",
            "external": {
                "metric": {"name": "e", "selector": {"matchLabels": {"a": "b"}}},
                "target": {"type": "AverageValue", "averageValue": "3"},
            },
        },
        {
            "type": "ContainerResource",
            "containerResource": {
                "name": "cpu",
                "container": "c",
                "target": {"type": "Utilization", "averageUtilization": 5},
            },
        },
    ]
    rules = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 2}], "selectPolicy": "Max", "tolerance": "100m"}
    condition = {
        "type": "AbleToScale",
        "status": "True",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "reason": "r",
        "message": "m",
    }
    current = [
        {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 9, "averageValue": "1"}}}
    ]
    body = {
        "metadata": {"name": "x", "annotations": {"kept": "yes"}},
        "spec": {"metrics": metrics, "behavior": {"scaleUp": rules}},
        "status": {"conditions": [condition], "currentMetrics": current},
    }
    new = canonical(HPA_V2, body)
    old = conversion.convert(new, HPA_V2, HPA_V1)
    annotations = old["metadata"]["annotations"]
    flat = orjson.loads(annotations["autoscaling.alpha.kubernetes.io/metrics"])
    assert flat[0] == {"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}}
    assert old["status"]["currentCPUUtilizationPercentage"] == 9
    assert annotations["kept"] == "yes"
    assert conversion.convert(old, HPA_V1, HPA_V2) == new


def test_an_autoscaler_that_names_no_metric_looks_at_the_cpu() -> None:
    target = {"type": "Utilization", "averageUtilization": 80}
    new = conversion.convert(canonical(HPA_V1, {"metadata": {}}), HPA_V1, HPA_V2)
    assert new["spec"]["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def test_an_annotation_that_cannot_be_read_is_dropped() -> None:
    body = {"metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/metrics": "{"}}}
    new = conversion.convert(canonical(HPA_V1, body), HPA_V1, HPA_V2)
    assert new["metadata"] == {}
    assert "metrics" not in new["spec"]


def test_events_are_one_kind_under_two_names() -> None:
    body = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod"},
        "message": "m",
        "source": {"component": "c"},
        "count": 2,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "reportingComponent": "r",
        "series": {"count": 3, "lastObservedTime": "2026-01-01T00:00:00.000001Z"},
    }
    core = canonical(registry.EVENTS, body)
    new = conversion.convert(core, registry.EVENTS, registry.EVENTS_V1)
    assert (new["apiVersion"], new["regarding"], new["note"]) == ("events.k8s.io/v1", {"kind": "Pod"}, "m")
    assert new["deprecatedLastTimestamp"] is None
    assert conversion.convert(new, registry.EVENTS_V1, registry.EVENTS) == core
    empty = conversion.convert(canonical(registry.EVENTS_V1, {}), registry.EVENTS_V1, registry.EVENTS)
    assert empty["reportingComponent"] == ""


def test_versions_that_differ_in_shape_are_converted_both_ways() -> None:
    claims, slices = optional("v1beta1", "resourceclaims"), optional("v1beta1", "resourceslices")
    requests = [{"name": "r", "deviceClassName": "c", "allocationMode": "All"}, {"name": "s"}]
    old = canonical(claims, {"spec": {"devices": {"requests": requests}}})
    new = conversion.convert(old, claims, registry.RESOURCECLAIMS)
    assert new["spec"]["devices"]["requests"] == [
        {"name": "r", "exactly": {"deviceClassName": "c", "allocationMode": "All"}},
        {"name": "s"},
    ]
    assert there_and_back(old, claims, registry.RESOURCECLAIMS) == old
    device = {"name": "d", "basic": {"attributes": {"a": {"bool": False}}}}
    slice_ = canonical(slices, {"spec": {"devices": [device]}})
    assert conversion.convert(slice_, slices, registry.RESOURCESLICES)["spec"]["devices"] == [
        {"name": "d", "attributes": {"a": {"bool": False}}}
    ]
    assert there_and_back(slice_, slices, registry.RESOURCESLICES) == slice_


def test_the_scale_of_a_workload() -> None:
    metadata = {"name": "d", "namespace": "n", "resourceVersion": "5", "labels": {"x": "y"}}
    expression = {"key": "c", "operator": "In", "values": ["y", "x"]}
    spec = {"replicas": 2, "selector": {"matchLabels": {"b": "1", "a": "2"}, "matchExpressions": [expression]}}
    deployment = canonical(registry.DEPLOYMENTS, {"metadata": metadata, "spec": spec, "status": {"replicas": 1}})
    scale = conversion.scale_of(deployment)
    assert scale == codec.normalise("autoscaling/v1", "Scale", scale).object
    assert scale["metadata"] == {"name": "d", "namespace": "n", "resourceVersion": "5"}
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 1, "selector": "a=2,b=1,c in (x,y)"}
    after = conversion.set_scale(deployment, {**scale, "spec": {}})
    assert after["spec"]["replicas"] == 0
    assert deployment["spec"]["replicas"] == 2
    controller = canonical(registry.REPLICATIONCONTROLLERS, {"spec": {"selector": {"b": "1", "a": "2"}}})
    assert conversion.scale_of(controller)["status"] == {"replicas": 0, "selector": "a=2,b=1"}
