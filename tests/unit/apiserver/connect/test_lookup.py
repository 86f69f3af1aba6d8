from __future__ import annotations

from collections.abc import Iterable

import pytest

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.connect import lookup
from knarr.apiserver.connect.lookup import KubeletAddress


def pod(containers: str, inits: str = "", ephemeral: str = "") -> Object:
    named = {"containers": containers, "initContainers": inits, "ephemeralContainers": ephemeral}
    spec = {kind: [{"name": name} for name in names.split()] for kind, names in named.items() if names}
    return {"metadata": {"name": "p"}, "spec": spec}


class Nodes:
    def __init__(self, status: Object) -> None:
        self.status = status

    def get(self, resource: str, group: str, namespace: str, name: str) -> Object | None:
        return {"status": self.status} if (resource, name) == ("nodes", "n") else None

    def list(self, resource: str, group: str, namespace: str = "") -> Iterable[Object]:
        return ()


def test_the_only_container_is_meant_when_none_is_named() -> None:
    assert lookup.container(pod("a", inits="b", ephemeral="c"), "") == "a"


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_any_container_may_be_named(name: str) -> None:
    assert lookup.container(pod("a b", inits="c", ephemeral="d"), name) == name


@pytest.mark.parametrize(
    ("wanted", "found", "text"),
    [
        ("x", pod("a"), "container x is not valid for pod p"),
        ("", pod("a b"), "a container name must be specified for pod p, choose one of: [a b]"),
        (
            "",
            pod("a b", inits="c d"),
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [c d]",
        ),
        ("", pod(""), "a container name must be specified for pod p"),
    ],
)
def test_a_choice_is_left_to_who_asks(wanted: str, found: Object, text: str) -> None:
    with pytest.raises(StatusError) as caught:
        lookup.container(found, wanted)
    assert (caught.value.code, caught.value.message) == (400, text)


def test_a_kubelet_is_reached_at_its_best_address() -> None:
    addresses = [{"type": kind, "address": kind.lower()} for kind in ("Hostname", "ExternalIP", "InternalIP")]
    endpoints = {"kubeletEndpoint": {"Port": 1234}}
    status: Object = {"addresses": addresses, "daemonEndpoints": endpoints}
    assert lookup.kubelet(Nodes(status), "n") == KubeletAddress("internalip", 1234)
    assert lookup.kubelet(Nodes({"addresses": addresses[:2]}), "n") == KubeletAddress("externalip", 10250)
    assert lookup.kubelet(Nodes({"addresses": addresses[:1]}), "n") == KubeletAddress("hostname", 10250)


def test_nodes_without_an_address_and_unknown_ones() -> None:
    with pytest.raises(StatusError, match="no preferred addresses found"):
        lookup.kubelet(Nodes({}), "n")
    with pytest.raises(StatusError, match='nodes "m" not found'):
        lookup.kubelet(Nodes({}), "m")
