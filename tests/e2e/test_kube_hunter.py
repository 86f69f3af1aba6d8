"""kube-hunter (PyPI) against a node: a cluster as it comes, and one that lets anonymous users in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.cluster import Cluster

pytestmark = pytest.mark.long
#: Certificates of the machine would be believed in the place of "do not verify".
_UNWANTED = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture(scope="module")
def hunter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, in an environment of its own: it wants an old client library."""
    folder = tmp_path_factory.mktemp("kube-hunter")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(folder / "bin/pip"), "install", "-q", "kube-hunter", "setuptools"], check=True)
    return folder / "bin/kube-hunter"


@pytest.fixture(params=["as it comes", "--anonymous-auth=true"])
def hunted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, bool]]:
    """A cluster, and whether anonymous users are let in."""
    one = Cluster(f"hunted{os.getpid()}", tmp_path_factory.mktemp("hunted"))
    anonymous = request.param.startswith("--")
    try:
        one.up(*((f"--server-arg={request.param}",) if anonymous else ()))
        yield one, anonymous
    finally:
        one.down()


def test_kube_hunter_finds_the_version_at_most(hunted: tuple[Cluster, bool], hunter: Path) -> None:
    """Nothing is found, but where the stock roles show `/version` to everybody."""
    cluster, anonymous = hunted
    address = cluster.json("get", "nodes")["items"][0]["status"]["addresses"][0]["address"]
    service = cluster.json("get", "service", "kubernetes")["spec"]["clusterIP"]
    environment = {key: value for key, value in os.environ.items() if key not in _UNWANTED}
    command = ["nsenter", f"--net=/run/netns/knarr-{cluster.name}", str(hunter), "--remote", address, service]
    options = ["--active", "--report", "json", "--log", "none"]
    done = subprocess.run(
        [*command, *options], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    found = json.loads(done.stdout)
    assert {each["service"] for each in found["services"]} >= {"Kubelet API"}
    assert {each["vid"] for each in found["vulnerabilities"]} <= ({"KHV002"} if anonymous else set())
    if anonymous:
        assert "API Server" in {each["service"] for each in found["services"]}
