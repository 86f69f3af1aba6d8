"""Where parameters are found."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from knarr.api import registry
from knarr.apimachinery.types import Object
from knarr.apiserver.policies.params import ConfigurationError, Params
from knarr.apiserver.served import ServedResources
from knarr.apiserver.watch_cache import WatchCache
from knarr.storage.store import Event, KeyValue

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap"}
NODE = {"apiVersion": "v1", "kind": "Node"}


class Cluster:
    """What is served, and objects in it."""

    def __init__(self) -> None:
        self.cache = WatchCache()
        self.served = ServedResources(self.cache)
        self.served.add_all(registry.RESOURCES)
        self.params = Params(self.served)
        self._revision = 0

    def collect(self, kind: Object | None, ref: Object | None, namespace: str) -> list[Object | None]:
        return asyncio.run(self.params.collect(kind, ref, namespace))

    def put(self, resource: Any, name: str, namespace: str = "", **labels: str) -> None:
        self._revision += 1
        obj = {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "data": {"at": namespace}}
        key, value = resource.key(namespace, name), orjson.dumps(obj)
        kv = KeyValue(key, value, self._revision, self._revision)
        self.cache.collection(resource).apply(Event(kv, deleted=False, previous=None))


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    for namespace in ("n", "other"):
        made.put(registry.CONFIGMAPS, "limits", namespace, env="prod")
        made.put(registry.CONFIGMAPS, "more", namespace, env="test")
    made.put(registry.NODES, "node")
    return made


def names(found: list[Object | None]) -> list[str]:
    return [f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}" for obj in found if obj is not None]


def test_without_a_kind_or_a_reference_there_is_one_evaluation_without_parameters(cluster: Cluster) -> None:
    assert cluster.collect(None, {"name": "limits"}, "n") == [None]
    assert cluster.collect(CONFIG_MAP, None, "n") == [None]


def test_by_name_in_the_requests_namespace_or_the_one_given(cluster: Cluster) -> None:
    ref = {"name": "limits", "parameterNotFoundAction": "Deny"}
    found = cluster.collect(CONFIG_MAP, ref, "n")
    assert names(found) == ["n/limits"]
    assert found[0] is not None
    assert (found[0]["kind"], found[0]["apiVersion"]) == ("ConfigMap", "v1")
    assert names(cluster.collect(CONFIG_MAP, {**ref, "namespace": "other"}, "n")) == ["other/limits"]


def test_all_that_a_selector_selects(cluster: Cluster) -> None:
    ref: Object = {"selector": {"matchLabels": {"env": "prod"}}}
    assert names(cluster.collect(CONFIG_MAP, ref, "n")) == ["n/limits"]
    assert names(cluster.collect(CONFIG_MAP, {"selector": {}}, "n")) == ["n/limits", "n/more"]


def test_of_a_kind_without_namespaces(cluster: Cluster) -> None:
    assert names(cluster.collect(NODE, {"name": "node"}, "n")) == ["/node"]


@pytest.mark.parametrize(
    ("kind", "ref", "namespace", "text"),
    [
        (
            CONFIG_MAP,
            {"name": "none", "parameterNotFoundAction": "Deny"},
            "n",
            "no params found for policy binding with `Deny` parameterNotFoundAction",
        ),
        (
            NODE,
            {"name": "node", "namespace": "n"},
            "n",
            "paramRef.namespace must not be provided for a cluster-scoped `paramKind`",
        ),
        (
            CONFIG_MAP,
            {"name": "limits"},
            "",
            "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources",
        ),
        (
            {"apiVersion": "rules.example.com/v1", "kind": "Limit"},
            {"name": "limits"},
            "n",
            "failed to find resource referenced by paramKind: 'rules.example.com/v1, Kind=Limit'",
        ),
    ],
)
def test_what_cannot_be_found(cluster: Cluster, kind: Object, ref: Object, namespace: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        cluster.collect(kind, ref, namespace)
    assert str(error.value) == text


def test_missing_parameters_that_are_allowed_are_none(cluster: Cluster) -> None:
    ref = {"name": "none", "parameterNotFoundAction": "Allow"}
    assert cluster.collect(CONFIG_MAP, ref, "n") == []


def test_a_change_of_parameters_is_seen_at_once(cluster: Cluster) -> None:
    ref: Object = {"name": "limits"}
    before = cluster.collect(CONFIG_MAP, ref, "n")[0]
    assert cluster.collect(CONFIG_MAP, ref, "n")[0] is before
    cluster.put(registry.CONFIGMAPS, "limits", "n", env="new")
    after = cluster.collect(CONFIG_MAP, ref, "n")[0]
    assert after is not None
    assert after["metadata"]["labels"] == {"env": "new"}
