"""ResourceQuota: what a write uses, and whether it fits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.apiserver.conftest import FakeReader

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.api.semantics.resource_lists import parsed, shown
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.admission import resource_quota
from knarr.apiserver.admission.resource_quota import Limited
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.request import UserInfo

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _write(obj: Object, resource: Resource = registry.PODS, old: Object | None = None, sub: str = "") -> Attributes:
    operation: Any = "CREATE" if old is None else "UPDATE"
    return Attributes(operation, resource, sub, "n", "x", obj, old, UserInfo("u"), FakeReader())


def _quota(hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> Object:
    status = {"hard": hard, "used": dict.fromkeys(hard, "0") if used is None else used}
    return {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}, "status": status}


def _charged(write: Attributes, quota: Object) -> dict[str, str]:
    used = {"q": parsed(quota["status"]["used"])}
    found = resource_quota.charge(write, [quota], used, _NOW)
    return shown(found["q"]) if found else {}


def _pod(requests: Object | None = None, limits: Object | None = None, **spec: Any) -> Object:
    container = {"name": "c", "resources": {"requests": requests or {}, "limits": limits or {}}}
    return {"metadata": {"name": "x"}, "spec": {"containers": [container], **spec}}


def _refusal(write: Attributes, quota: Object) -> str:
    with pytest.raises(StatusError) as caught:
        _charged(write, quota)
    assert caught.value.code == 403
    return caught.value.message.partition(" is forbidden: ")[2]


def test_a_pod_is_charged_what_the_quota_counts() -> None:
    hard = {"cpu": "2", "requests.cpu": "2", "limits.memory": "4Gi", "pods": "9", "requests.example.com/gpu": "1"}
    pod = _pod({"cpu": "500m", "example.com/gpu": "1"}, {"memory": "1Gi"}, overhead={"cpu": "250m", "memory": "1Mi"})
    assert _charged(_write(pod), _quota(hard)) == {
        "cpu": "750m",
        "requests.cpu": "750m",
        "limits.memory": "1025Mi",
        "pods": "1",
        "requests.example.com/gpu": "1",
    }


def test_a_refusal_names_what_is_exceeded_alone() -> None:
    quota = _quota({"cpu": "1", "memory": "4Gi", "pods": "9"}, {"cpu": "800m", "memory": "1Gi", "pods": "1"})
    text = _refusal(_write(_pod({"cpu": "300m", "memory": "1Gi"})), quota)
    assert text == "exceeded quota: q, requested: cpu=300m, used: cpu=800m, limited: cpu=1"


def test_cpu_and_memory_must_be_said_once_they_are_counted() -> None:
    quota = _quota({"limits.cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"})
    assert _refusal(_write(_pod()), quota) == "failed quota: q: must specify limits.cpu for: c; memory for: c"
    whole = _pod(resources={"limits": {"cpu": "1"}, "requests": {"memory": "1Mi"}})
    assert _charged(_write(whole), quota) == {"limits.cpu": "1", "memory": "1Mi", "ephemeral-storage": "0"}
    assert _charged(_write(_pod(resources={"requests": {"memory": "1Mi"}})), quota)["memory"] == "1Mi"


def test_a_quota_whose_use_is_unknown_refuses() -> None:
    quota = _quota({"pods": "1", "count/pods": "1"}, {"pods": "0"})
    assert _refusal(_write(_pod()), quota) == "status unknown for quota: q, resources: count/pods,pods"


_ANTI: Object = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": {}}]}}
_CROSS: Object = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaceSelector": {}}]}}


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        ("Terminating", {"activeDeadlineSeconds": 0}, {}),
        ("NotTerminating", {}, {"activeDeadlineSeconds": 5}),
        ("PriorityClass", {"priorityClassName": "high"}, {}),
        ("CrossNamespacePodAffinity", {"affinity": _CROSS}, {"affinity": _ANTI}),
        ("BestEffort", {}, {"resources": {"requests": {"cpu": "1"}}}),
        ("NotBestEffort", {"resources": {"requests": {"cpu": "1"}}}, {}),
    ],
)
def test_a_scope_chooses_pods(scope: str, inside: Object, outside: Object) -> None:
    quota = _quota({"pods": "0"}, scopes=[scope])
    assert _charged(_write(_pod(**outside)), quota) == {}
    assert "exceeded quota" in _refusal(_write(_pod(**inside)), quota)


@pytest.mark.parametrize(
    ("operator", "values", "names"),
    [
        ("In", ["a", "b"], ["a", "b"]),
        ("NotIn", ["a"], ["", "b"]),
        ("Exists", [], ["a", "b"]),
        ("DoesNotExist", [], [""]),
    ],
)
def test_a_scope_selector_chooses_priority_classes(operator: str, values: list[str], names: list[str]) -> None:
    expression = {"scopeName": "PriorityClass", "operator": operator, "values": values}
    quota = _quota({"pods": "9"}, scopeSelector={"matchExpressions": [expression]})
    chosen = [name for name in ("", "a", "b") if _charged(_write(_pod(priorityClassName=name)), quota)]
    assert chosen == names


def test_claims_are_counted_by_class_and_scope() -> None:
    hard = {"gold.storageclass.storage.k8s.io/requests.storage": "5Gi", "persistentvolumeclaims": "3"}
    claim: Object = {
        "metadata": {"name": "x"},
        "spec": {
            "storageClassName": "gold",
            "volumeAttributesClassName": "fast",
            "resources": {"requests": {"storage": "2Gi"}},
        },
    }
    used = {"gold.storageclass.storage.k8s.io/requests.storage": "2Gi", "persistentvolumeclaims": "1"}
    assert _charged(_write(claim, registry.PVCS), _quota(hard)) == used
    bigger = {**claim, "spec": {**claim["spec"], "resources": {"requests": {"storage": "3Gi"}}}}
    grown = {**used, "gold.storageclass.storage.k8s.io/requests.storage": "3Gi"}
    assert _charged(_write(bigger, registry.PVCS, claim), _quota(hard, used)) == grown
    assert _charged(_write(claim, registry.PVCS, bigger), _quota(hard, grown)) == {}
    expression = {"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["slow"]}
    scoped = _quota({"persistentvolumeclaims": "0"}, scopeSelector={"matchExpressions": [expression]})
    assert _charged(_write(claim, registry.PVCS), scoped) == {}


def test_services_are_counted_by_what_they_take() -> None:
    hard = {"services": "9", "services.nodeports": "2", "services.loadbalancers": "1"}
    plain: Object = {"metadata": {"name": "x"}, "spec": {"type": "ClusterIP", "ports": [{"port": 1}, {"port": 2}]}}
    balanced = {**plain, "spec": {**plain["spec"], "type": "LoadBalancer"}}
    bare = {**plain, "spec": {**balanced["spec"], "allocateLoadBalancerNodePorts": False}}
    none = {"services": "1", "services.nodeports": "0", "services.loadbalancers": "0"}
    services = registry.SERVICES
    assert _charged(_write(plain, services), _quota(hard)) == none
    full = {"services": "1", "services.nodeports": "2", "services.loadbalancers": "1"}
    assert _charged(_write(balanced, services, plain), _quota(hard, none)) == full
    assert _charged(_write(bare, services), _quota(hard)) == {**none, "services.loadbalancers": "1"}


def test_a_pod_that_is_given_a_deadline_moves_to_another_scope() -> None:
    write = _write(_pod(activeDeadlineSeconds=5), old=_pod())
    assert _charged(write, _quota({"pods": "1"}, scopes=["Terminating"])) == {"pods": "1"}
    assert _charged(write, _quota({"pods": "1"}, scopes=["NotTerminating"])) == {}
    assert _charged(write, _quota({"pods": "1"})) == {}


def test_devices_that_pods_ask_for_by_class_are_counted() -> None:
    name = "deviceclass.resource.kubernetes.io/gpu"
    quota = _quota({f"requests.{name}": "3", "requests.kubernetes.io/other": "1"})
    used = {f"requests.{name}": "2", "requests.kubernetes.io/other": "0"}
    assert _charged(_write(_pod({name: "2"})), quota) == used


def test_devices_are_counted_by_class() -> None:
    requests = [
        {"name": "a", "exactly": {"deviceClassName": "gpu", "count": 2}},
        {"name": "b", "firstAvailable": [{"deviceClassName": "gpu"}, {"deviceClassName": "tpu", "count": 4}]},
        {"name": "c", "exactly": {"deviceClassName": "nic", "allocationMode": "All"}},
    ]
    claim = {"metadata": {"name": "x"}, "spec": {"devices": {"requests": requests}}}
    hard = {f"{name}.deviceclass.resource.k8s.io/devices": "99" for name in ("gpu", "tpu", "nic")}
    charged = _charged(_write(claim, registry.RESOURCECLAIMS), _quota(hard))
    assert list(charged.values()) == ["3", "4", "32"]


def test_any_kind_can_be_counted_and_only_its_creation_costs() -> None:
    obj: Object = {"metadata": {"name": "x"}}
    quota = _quota({"count/deployments.apps": "5"})
    assert _charged(_write(obj, registry.DEPLOYMENTS), quota) == {"count/deployments.apps": "1"}
    assert _charged(_write(obj, registry.DEPLOYMENTS, obj), quota) == {}
    assert _charged(_write(obj, registry.DEPLOYMENTS, sub="scale"), quota) == {}
    assert _charged(_write(obj, registry.EVENTS), _quota({"count/events": "0"})) == {}


def test_a_resize_costs_what_it_adds() -> None:
    old, new = _pod({"cpu": "1"}), _pod({"cpu": "3"})
    quota = _quota({"cpu": "3"}, {"cpu": "1"})
    assert _charged(_write(new, old=old, sub="resize"), quota) == {"cpu": "3"}
    assert _charged(_write(old, old=new, sub="resize"), quota) == {}
    assert _charged(_write(new, old=old), quota) == {}


def test_what_is_limited_needs_a_quota_that_covers_it() -> None:
    def refused(limited: Limited, pod: Object, *quotas: Object) -> str:
        used = {quota["metadata"]["name"]: parsed(quota["status"]["used"]) for quota in quotas}
        try:
            resource_quota.charge(_write(pod), quotas, used, _NOW, [limited])
        except StatusError as error:
            return error.message.partition(" is forbidden: ")[2]
        return ""

    gpu = _pod({"example.com/gpu": "1"})
    rule = Limited("pods", contains=("gpu",))
    assert refused(rule, gpu) == "insufficient quota to consume: requests.example.com/gpu"
    assert refused(rule, gpu, _quota({"requests.example.com/gpu": "2"})) == ""
    assert refused(rule, _pod()) == ""
    high: Object = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
    rule = Limited("pods", scopes=(high,))
    text = "insufficient quota to match these scopes: [{PriorityClass In [high]}]"
    assert refused(rule, _pod(priorityClassName="high")) == text
    assert refused(rule, _pod(priorityClassName="low")) == ""
    covering = _quota({"pods": "9"}, scopeSelector={"matchExpressions": [high]})
    assert refused(rule, _pod(priorityClassName="high"), covering) == ""
