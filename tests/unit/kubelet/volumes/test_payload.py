from __future__ import annotations

import base64
import stat

import pytest

from knarr.apimachinery.types import Object
from knarr.kubelet.volumes.folders import memory_size
from knarr.kubelet.volumes.ownership import mode_for
from knarr.kubelet.volumes.payload import (
    File,
    PayloadError,
    from_config_map,
    from_downward,
    from_secret,
    run_as_user,
)
from knarr.kubelet.volumes.plugins import PLUGINS, find

CONFIG_MAP = {"data": {"a": "1", "ü": "ü"}, "binaryData": {"b": base64.b64encode(b"\xff").decode()}}
SECRET = {"data": {"a": base64.b64encode(b"1").decode()}}


def test_all_entries_or_the_chosen_ones() -> None:
    assert from_config_map(CONFIG_MAP, {}, 0o640) == {
        "a": File(b"1", 0o640),
        "ü": File("ü".encode(), 0o640),
        "b": File(b"\xff", 0o640),
    }
    items = {"items": [{"key": "b", "path": "d/x", "mode": 0o400}, {"key": "a", "path": "y"}]}
    assert from_config_map(CONFIG_MAP, items, 0o644) == {"d/x": File(b"\xff", 0o400), "y": File(b"1", 0o644)}
    assert from_secret(SECRET, {}, 0o600) == {"a": File(b"1", 0o600)}


def test_keys_that_are_missing() -> None:
    items = {"items": [{"key": "x", "path": "x"}]}
    with pytest.raises(PayloadError, match="^configmap references non-existent config key: x$"):
        from_config_map(CONFIG_MAP, items, 0o644)
    with pytest.raises(PayloadError, match="^references non-existent secret key: x$"):
        from_secret(SECRET, items, 0o644)
    assert from_secret(None, {**items, "optional": True}, 0o644) == {}


def test_the_downward_api_as_files() -> None:
    pod = {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", "annotations": {"b": "x\ny", "a": "1"}},
        "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "100m"}}}]},
    }
    source = {
        "items": [
            {"path": "notes", "fieldRef": {"fieldPath": "metadata.annotations"}, "mode": 0o400},
            {"path": "cpu", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu", "divisor": "1m"}},
            {"path": "memory", "resourceFieldRef": {"containerName": "c", "resource": "limits.memory"}},
        ]
    }
    assert from_downward(pod, source, 0o644, {"memory": "1Ki"}) == {
        "notes": File(b'a="1"\nb="x\\ny"', 0o400),
        "cpu": File(b"100"),
        "memory": File(b"1024"),
    }
    wrong = {"items": [{"path": "x", "resourceFieldRef": {"containerName": "no", "resource": "limits.cpu"}}]}
    with pytest.raises(PayloadError, match="container no not found"):
        from_downward(pod, wrong, 0o644, {})


def container(user: int | None) -> Object:
    return {"name": "c", "securityContext": {} if user is None else {"runAsUser": user}}


def test_a_token_belongs_to_the_one_user_of_all_containers() -> None:
    assert run_as_user({"spec": {"containers": [container(1), container(1)]}}) == 1
    assert run_as_user({"spec": {"containers": [container(1), container(2)]}}) is None
    assert run_as_user({"spec": {"containers": [container(1), container(None)]}}) is None
    assert run_as_user({"spec": {"securityContext": {"runAsUser": 0}, "containers": [container(None)]}}) == 0


def test_memory_is_bounded_by_limit_pod_and_node() -> None:
    limited = {"spec": {"containers": [{"name": "c", "resources": {"limits": {"memory": "64Mi"}}}]}}
    free = {"spec": {"containers": [{"name": "c"}, *limited["spec"]["containers"]]}}
    assert memory_size(limited, {"sizeLimit": "128Mi"}, {"memory": "1Gi"}) == 64 * 2**20
    assert memory_size(limited, {"sizeLimit": "32Mi"}, {}) == 32 * 2**20
    assert memory_size(free, {}, {"memory": "1Gi"}) == 2**30
    assert memory_size(free, {}, {}) is None


def test_modes_for_a_group() -> None:
    assert mode_for(stat.S_IFREG | 0o644, read_only=False) == 0o664
    assert mode_for(stat.S_IFREG | 0o600, read_only=True) == 0o640
    assert mode_for(stat.S_IFDIR | 0o700, read_only=False) == 0o2770
    assert mode_for(stat.S_IFDIR | 0o700, read_only=True) == 0o2750


def test_every_plugin_is_found_by_its_source() -> None:
    assert [find({"name": "v", plugin.source: {}}) for plugin in PLUGINS] == list(PLUGINS)
