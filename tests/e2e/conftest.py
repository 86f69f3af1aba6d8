"""For the whole session one cluster with three images and one without a node; a namespace for every test."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.apps import Apps
from tests.e2e.cluster import ROOT, Cluster, needs_root, until
from tests.e2e.rest import Rest

_NUMBERS = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip = pytest.mark.skip(reason="needs root: a node with real containers")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("rootless") is None and not needs_root():
                item.add_marker(skip)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Image tars by name."""
    folder = tmp_path_factory.mktemp("images")
    out = {}
    for name in ("nginx", "busybox", "python"):
        out[name] = folder / f"{name}.tar"
        script = [sys.executable, str(ROOT / "scripts/demo_image.py"), name, str(out[name])]
        subprocess.run(script, check=True, stdout=subprocess.DEVNULL)
    return out


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, images: dict[str, Path]) -> Iterator[Cluster]:
    """A one-node cluster."""
    made = Cluster(f"e2e{os.getpid()}", tmp_path_factory.mktemp("cluster"))
    try:
        # Autoscalers and what they go by need not be waited for.
        made.up("--server-arg=--metric-resolution=5s", "--server-arg=--horizontal-pod-autoscaler-sync-period=5s")
        for path in images.values():
            made.import_image(path)
        yield made
    finally:
        ended = made.down()
    assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="session")
def api_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """API server, controllers and scheduler."""
    one = Cluster(f"api-only{os.getpid()}", tmp_path_factory.mktemp("api-only"))
    try:
        one.up("--api-only")
        until(lambda: one.try_kubectl("get", "serviceaccount", "default").returncode == 0, "the account is there")
        yield one
    finally:
        one.down()


@pytest.fixture
def apps(ns: str, cluster: Cluster) -> Apps:
    """A fresh namespace for workloads that run."""
    return Apps(Rest(cluster.kubeconfig), ns, plays=False)


@pytest.fixture
def paper_apps(api_only: Cluster, request: pytest.FixtureRequest) -> Iterator[Apps]:
    """A fresh namespace for workloads of which the controllers alone are looked at: no node runs their pods."""
    rest = Rest(api_only.kubeconfig)
    name = request.node.name.removeprefix("test_").replace("_", "-")[:58].strip("-")
    rest.ok("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    until(lambda: rest("GET", account)[0] == 200, "the account is there")
    yield Apps(rest, name, plays=True)
    rest("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def ns(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace; it is deleted without waiting."""
    name = request.node.name.removeprefix("test_").split("[")[0].replace("_", "-")[:50].strip("-")
    if "[" in request.node.name:
        name += f"-{next(_NUMBERS)}"
    cluster.kubectl("create", "namespace", name)
    account = ("get", "serviceaccount", "default", "-n", name)
    until(lambda: cluster.try_kubectl(*account).returncode == 0, "the account is there")
    yield name
    cluster.try_kubectl("delete", "namespace", name, "--wait=false")
