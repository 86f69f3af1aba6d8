from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.registry import CONFIGMAPS, SECRETS
from knarr.apimachinery.types import Object
from knarr.kubelet.downward import Addresses, DownwardError, field_value, quote, resource_value
from knarr.kubelet.environment import EnvironmentFault, Surroundings, environment
from knarr.kubelet.references import Reference, of_pod


def pod(container: Object | None = None, **spec: Any) -> Object:
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"b": 'say "hi"', "a": "1"}},
        "spec": {"nodeName": "n", "serviceAccountName": "sa", "containers": [container or {"name": "c"}], **spec},
    }


def service(name: str, namespace: str, address: str, *ports: Object) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": address, "ports": list(ports)}}


KUBERNETES = service("kubernetes", "default", "10.43.0.1", {"name": "https", "port": 443, "protocol": "TCP"})
OBJECTS = {
    Reference(CONFIGMAPS, "ns", "cm"): {"data": {"k": "v", "HOST": "from-cm"}},
    Reference(SECRETS, "ns", "s"): {"data": {"k": base64.b64encode(b"\xff!").decode()}},
}


def made(container: Object, **around: Any) -> dict[str, str]:
    return environment(pod(container), container, Surroundings(objects=OBJECTS, **around))


def test_declared_variables_see_earlier_ones_and_services() -> None:
    container = {
        "envFrom": [{"prefix": "CM_", "configMapRef": {"name": "cm"}}],
        "env": [
            {"name": "A", "value": "$(CM_k)-$(KUBERNETES_SERVICE_HOST)-$(LATER)"},
            {"name": "LATER", "value": "x"},
            {"name": "EMPTY"},
            {"name": "KUBERNETES_PORT", "value": "mine"},
        ],
    }
    variables = made(container, services=[KUBERNETES])
    assert variables["A"] == "v-10.43.0.1-$(LATER)"
    assert variables["EMPTY"] == ""
    assert variables["KUBERNETES_PORT"] == "mine"
    assert variables["CM_HOST"] == "from-cm"


def test_service_variables_are_dockers_and_kubernetes() -> None:
    services = [
        KUBERNETES,
        service(
            "my-web",
            "ns",
            "10.43.1.1",
            {"name": "http-alt", "port": 80},
            {"name": "dns", "port": 53, "protocol": "UDP"},
        ),
        service("headless", "ns", "None", {"port": 1}),
        service("other", "elsewhere", "10.43.1.2", {"port": 1}),
    ]
    variables = made({"name": "c"}, services=services)
    assert variables["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert {name: value for name, value in variables.items() if name.startswith("MY_WEB")} == {
        "MY_WEB_SERVICE_HOST": "10.43.1.1",
        "MY_WEB_SERVICE_PORT": "80",
        "MY_WEB_SERVICE_PORT_HTTP_ALT": "80",
        "MY_WEB_SERVICE_PORT_DNS": "53",
        "MY_WEB_PORT": "tcp://10.43.1.1:80",
        "MY_WEB_PORT_80_TCP": "tcp://10.43.1.1:80",
        "MY_WEB_PORT_80_TCP_PROTO": "tcp",
        "MY_WEB_PORT_80_TCP_PORT": "80",
        "MY_WEB_PORT_80_TCP_ADDR": "10.43.1.1",
        "MY_WEB_PORT_53_UDP": "udp://10.43.1.1:53",
        "MY_WEB_PORT_53_UDP_PROTO": "udp",
        "MY_WEB_PORT_53_UDP_PORT": "53",
        "MY_WEB_PORT_53_UDP_ADDR": "10.43.1.1",
    }
    assert not [name for name in variables if name.startswith(("OTHER", "HEADLESS"))]
    without = environment(pod(enableServiceLinks=False), {"name": "c"}, Surroundings(services=services))
    assert {name.split("_")[0] for name in without} == {"KUBERNETES"}


def test_fields_and_resources() -> None:
    container = {
        "name": "c",
        "resources": {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"memory": "64M"}},
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "HOST_IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIPs"}}},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}},
            {"name": "CORES", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}},
            {"name": "MIB", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ],
    }
    variables = made(
        container,
        addresses=Addresses(("10.42.0.5", "fd00::5"), ("172.30.0.2", "fd00::2")),
        allocatable={"cpu": "1500m"},
    )
    assert variables["SECRET"].encode(errors="surrogateescape") == b"\xff!"
    del variables["SECRET"]
    assert variables == {
        "POD_IP": "10.42.0.5",
        "HOST_IPS": "172.30.0.2,fd00::2",
        "NODE": "n",
        "LABEL": "1",
        "CPU": "250",
        "CORES": "2",
        "MIB": "62",
    }


def test_a_pods_own_limit_is_the_default_below_the_nodes() -> None:
    reference = {"resource": "limits.memory"}
    limited = pod(resources={"limits": {"memory": "1Gi"}})
    assert resource_value(limited, {}, reference, {"memory": "2Gi"}) == str(2**30)
    assert resource_value(limited, {}, reference, {"memory": "1Mi"}) == str(2**20)
    assert resource_value(limited, {}, {"resource": "requests.memory"}, {"memory": "1Mi"}) == "0"


def reference(kind: str, name: str, key: str, **more: Any) -> Object:
    return {"name": "c", "env": [{"name": "X", "valueFrom": {kind: {"name": name, "key": key, **more}}}]}


@pytest.mark.parametrize(
    ("container", "text"),
    [
        (reference("configMapKeyRef", "absent", "k"), 'configmap "absent" not found'),
        (reference("secretKeyRef", "absent", "k"), 'secret "absent" not found'),
        (reference("configMapKeyRef", "cm", "no"), "couldn't find key no in ConfigMap ns/cm"),
        (reference("secretKeyRef", "s", "no"), "couldn't find key no in Secret ns/s"),
        ({"name": "c", "envFrom": [{"secretRef": {"name": "absent"}}]}, 'secret "absent" not found'),
    ],
)
def test_what_is_missing_is_told_as_users_know_it(container: Object, text: str) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        made(container)
    assert str(caught.value) == text


def test_optional_sources_may_be_missing() -> None:
    assert made(reference("configMapKeyRef", "absent", "k", optional=True)) == {}
    assert made(reference("secretKeyRef", "s", "no", optional=True)) == {}
    assert made({"name": "c", "envFrom": [{"configMapRef": {"name": "absent", "optional": True}}]}) == {}


def test_only_environments_may_refer_to_spec_and_status() -> None:
    assert field_value(pod(), "metadata.labels") == 'a="1"\nb="say \\"hi\\""'
    with pytest.raises(DownwardError, match=r"unsupported fieldPath: status\.podIP"):
        field_value(pod(), "status.podIP")
    with pytest.raises(DownwardError, match="does not support subscript"):
        field_value(pod(), "metadata.name['a']")


@given(st.text())
def test_quoted_text_is_one_line_that_reads_back(text: str) -> None:
    quoted = quote(text)
    assert "\n" not in quoted
    restored = quoted.replace("\\a", "\\x07").replace("\\v", "\\x0b")
    assert eval(restored) == text


def test_a_pods_references() -> None:
    everything = pod(
        {"name": "c", "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "e", "key": "k"}}}]},
        volumes=[
            {"name": "a", "secret": {"secretName": "v"}},
            {"name": "b", "projected": {"sources": [{"configMap": {"name": "pr"}}, {"secret": {"name": "ps"}}]}},
        ],
        imagePullSecrets=[{"name": "pull"}, {}],
        initContainers=[{"name": "i", "envFrom": [{"secretRef": {"name": "init"}}]}],
    )
    assert {(each.resource.plural, each.name) for each in of_pod(everything)} == {
        ("configmaps", "e"),
        ("secrets", "v"),
        ("configmaps", "pr"),
        ("secrets", "ps"),
        ("secrets", "pull"),
        ("secrets", "init"),
    }
