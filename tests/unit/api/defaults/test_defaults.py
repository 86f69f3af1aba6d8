from __future__ import annotations

import copy
from typing import Any

import pytest

from knarr.api import codec, defaults, registry
from knarr.api.defaults.images import pull_policy
from knarr.apimachinery.types import Object


def defaulted(plural: str, body: Any, group: str = "") -> Object:
    resource = registry.resource(plural, group)
    obj = codec.normalise(resource.api_version, resource.kind, body).object
    defaults.apply(resource, obj)
    again = copy.deepcopy(obj)
    defaults.apply(resource, again)
    assert again == obj
    return obj


@pytest.mark.parametrize(
    "resource", (*registry.RESOURCES, *registry.OPTIONAL), ids=lambda item: f"{item.api_version} {item.kind}"
)
def test_an_empty_object_of_every_kind_can_be_defaulted(resource: Any) -> None:
    if codec.type_of(resource.api_version, resource.kind) is not None:
        defaults.apply(resource, codec.decode(resource.api_version, resource.kind, b"{}").object)


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("localhost:5000/a/b", "Always"),
        ("localhost:5000/a/b:latest", "Always"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "a" * 64, "Always"),
        ("NGINX", "IfNotPresent"),
        ("", "IfNotPresent"),
        ("a" * 64, "IfNotPresent"),
    ],
)
def test_untagged_and_latest_images_are_pulled_always(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_only_pods_take_requests_from_limits_and_host_ports_from_ports() -> None:
    container = {"name": "c", "resources": {"limits": {"cpu": "100u"}}, "ports": [{"containerPort": 80}]}
    spec = {"hostNetwork": True, "containers": [container]}
    pod = defaulted("pods", {"spec": spec})["spec"]
    assert pod["containers"][0]["resources"] == {"limits": {"cpu": "1m"}, "requests": {"cpu": "1m"}}
    assert pod["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]
    assert pod["enableServiceLinks"] is True
    template = defaulted("podtemplates", {"template": {"spec": spec}})["template"]["spec"]
    assert template["containers"][0]["resources"] == {"limits": {"cpu": "1m"}}
    assert template["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert "enableServiceLinks" not in template


def test_a_pods_own_requests_come_from_its_containers_then_its_limits() -> None:
    containers = [{"name": str(at), "resources": {"requests": {"cpu": "100m"}}} for at in range(2)]
    sidecar = {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}}
    step = {"name": "i", "resources": {"requests": {"cpu": "1"}}}
    spec = {
        "containers": containers,
        "initContainers": [sidecar, step],
        "resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
    }
    found = defaulted("pods", {"spec": spec})["spec"]["resources"]
    assert found["requests"] == {"cpu": "1050m", "memory": "1Gi"}


def test_probes_and_volumes_are_completed() -> None:
    container = {"name": "c", "livenessProbe": {"grpc": {"port": 1}}, "readinessProbe": {"httpGet": {"port": 80}}}
    volumes = [{"name": "a"}, {"name": "b", "hostPath": {"path": "/"}}, {"name": "c", "secret": {"secretName": "s"}}]
    spec = defaulted("pods", {"spec": {"containers": [container], "volumes": volumes}})["spec"]
    assert spec["containers"][0]["livenessProbe"]["grpc"] == {"port": 1, "service": ""}
    assert spec["containers"][0]["readinessProbe"]["httpGet"] == {"port": 80, "path": "/", "scheme": "HTTP"}
    assert spec["volumes"] == [
        {"name": "a", "emptyDir": {}},
        {"name": "b", "hostPath": {"path": "/", "type": ""}},
        {"name": "c", "secret": {"secretName": "s", "defaultMode": 420}},
    ]


def test_a_secrets_texts_become_its_data() -> None:
    found = defaulted("secrets", {"data": {"a": "eA=="}, "stringData": {"b": "hi", "a": ""}})
    assert found["data"] == {"a": "", "b": "aGk="}
    assert found["type"] == "Opaque"
    assert "stringData" not in found


def test_a_service_goes_without_an_inner_policy_only_outside() -> None:
    ports = [{"port": 80}, {"port": 81, "targetPort": "http"}]
    spec = defaulted("services", {"spec": {"type": "LoadBalancer", "ports": ports}})["spec"]
    assert [port["targetPort"] for port in spec["ports"]] == [80, "http"]
    assert (spec["externalTrafficPolicy"], spec["internalTrafficPolicy"]) == ("Cluster", "Cluster")
    assert spec["allocateLoadBalancerNodePorts"] is True
    assert "internalTrafficPolicy" not in defaulted("services", {"spec": {"type": "ExternalName"}})["spec"]


def test_a_jobs_retries_and_replacements_depend_on_its_policies() -> None:
    spec = {"backoffLimitPerIndex": 1, "podFailurePolicy": {"rules": [{"action": "Ignore"}]}, "completions": 3}
    found = defaulted("jobs", {"spec": spec}, "batch")["spec"]
    assert (found["backoffLimit"], found["podReplacementPolicy"], found["parallelism"]) == (2147483647, "Failed", 1)
    assert defaulted("jobs", {"spec": {"parallelism": 0}}, "batch")["spec"].get("completions") is None


def test_the_limits_of_containers_fill_each_other() -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}
    found = defaulted("limitranges", {"spec": {"limits": [item]}})["spec"]["limits"][0]
    assert found["default"] == {"cpu": "2"}
    assert found["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}
