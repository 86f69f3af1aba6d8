"""Images out of a registry that asks for a password."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import registry
from tests.e2e.cluster import Cluster, until
from tests.e2e.manifests import pod

NAME = f"{registry.ADDRESS}/tools/box"


@pytest.fixture(scope="module")
def digest(cluster: Cluster, images: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The digest of an image that only the registry has."""
    with registry.running(cluster, tmp_path_factory.mktemp("registry")):
        yield registry.push(cluster, images["busybox"], "tools/box:1")


def manifest(name: str, image: str, *, policy: str = "Always", secret: bool = True) -> str:
    text = pod(name, "echo pulled", "imagePullSecrets: [{name: pull}]" if secret else "")
    return text.replace("image: busybox", f"image: {image}").replace("IfNotPresent", policy)


def give_secret(cluster: Cluster, ns: str) -> None:
    data = f"--from-literal=.dockerconfigjson={registry.credentials()}"
    cluster.kubectl("create", "secret", "generic", "pull", "-n", ns, "--type=kubernetes.io/dockerconfigjson", data)


def status(cluster: Cluster, ns: str, name: str) -> dict[str, object]:
    found: list[dict[str, object]] = cluster.json("get", "pod", name, "-n", ns)["status"].get("containerStatuses", [{}])
    return found[0]


def test_a_password_is_needed_and_then_it_runs(cluster: Cluster, ns: str, digest: str) -> None:
    cluster.apply(manifest("stranger", f"{NAME}:1", secret=False), ns)
    until(lambda: "ErrImagePull" in json.dumps(status(cluster, ns, "stranger")), "no password, no image")
    give_secret(cluster, ns)
    cluster.apply(manifest("friend", f"{NAME}:1"), ns)
    cluster.kubectl("wait", "pod/friend", "-n", ns, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s")
    assert cluster.kubectl("logs", "friend", "-n", ns) == "pulled\n"
    assert status(cluster, ns, "friend")["imageID"] == f"{NAME}@{digest}"
    events = cluster.kubectl("get", "events", "-n", ns)
    assert f'Successfully pulled image "{NAME}:1"' in events


def test_by_digest_and_by_policy(cluster: Cluster, ns: str, digest: str) -> None:
    give_secret(cluster, ns)
    cluster.apply(manifest("exact", f"{NAME}@{digest}", policy="IfNotPresent"), ns)
    cluster.kubectl("wait", "pod/exact", "-n", ns, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s")
    cluster.apply(manifest("never", f"{NAME}:other", policy="Never"), ns)
    until(lambda: "ErrImageNeverPull" in json.dumps(status(cluster, ns, "never")), "it is not pulled")


def test_a_tag_that_the_registry_lacks(cluster: Cluster, ns: str, digest: str) -> None:
    give_secret(cluster, ns)
    cluster.apply(manifest("missing", f"{NAME}:2"), ns)
    until(lambda: "ImagePullBackOff" in json.dumps(status(cluster, ns, "missing")), "back-off")
    assert "not found" in cluster.kubectl("get", "events", "-n", ns)
