from __future__ import annotations

import base64
import hashlib

import pytest

from knarr.api import registry
from knarr.api.registry import OPTIONAL, RESOURCES, by_kind, lookup, resource


def test_default_resources_are_stable_versions_only() -> None:
    assert {item.version for item in RESOURCES} == {"v1", "v2"}
    assert all("alpha" in item.version or "beta" in item.version for item in OPTIONAL)


def test_keys_lie_where_kubernetes_keeps_them() -> None:
    assert registry.PODS.key("ns", "a") == "/registry/pods/ns/a"
    assert registry.NODES.key("", "n") == "/registry/minions/n"
    assert registry.SERVICES.key("ns", "a") == "/registry/services/specs/ns/a"
    assert registry.ENDPOINTS.storage == "services/endpoints"
    assert registry.REPLICATIONCONTROLLERS.storage == "controllers"
    assert registry.INGRESSES.storage == "ingress"
    assert registry.LEASES.storage == "leases"
    assert registry.CUSTOMRESOURCEDEFINITIONS.storage == "apiextensions.k8s.io/customresourcedefinitions"


def test_events_of_both_groups_share_their_storage() -> None:
    assert registry.EVENTS_V1.storage == registry.EVENTS.storage
    assert (registry.EVENTS_V1.storage_group, registry.EVENTS_V1.storage_version) == ("", "v1")


def test_preferred_version_comes_first() -> None:
    assert resource("horizontalpodautoscalers", "autoscaling").version == "v2"
    older = lookup("autoscaling", "v1", "horizontalpodautoscalers")
    assert older is not None
    assert older.storage_version == "v2"


def test_storage_hash_names_the_stored_version() -> None:
    digest = hashlib.sha256(b"apps/v1/Deployment").digest()[:8]
    assert base64.b64encode(digest).decode() == registry.DEPLOYMENTS.storage_version_hash


def test_by_kind_and_lookup_agree() -> None:
    assert by_kind("apps", "v1", "Deployment") is lookup("apps", "v1", "deployments") is registry.DEPLOYMENTS
    assert lookup("apps", "v1", "deployment") is None
    with pytest.raises(KeyError):
        resource("deployments")


def test_subresources_have_the_kind_of_their_bodies() -> None:
    by_name = {item.name: item for item in registry.PODS.subresources}
    assert (by_name["eviction"].group, by_name["eviction"].kind) == ("policy", "Eviction")
    assert (by_name["status"].group, by_name["status"].version) == ("", "v1")
