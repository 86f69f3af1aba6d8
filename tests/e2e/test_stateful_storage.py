"""What the pods of a StatefulSet keep: their claims outlive them, and go when the set's policy says so."""

from __future__ import annotations

from typing import Any

import pytest
from tests.e2e.cluster import Cluster
from tests.e2e.sets import Space, stateful_set, template

SETS, CLAIMS = "statefulsets", "persistentvolumeclaims"


@pytest.fixture
def space(cluster: Cluster, ns: str) -> Space:
    return Space(cluster, ns)


def claims(space: Space) -> list[str]:
    return [claim["metadata"]["name"] for claim in space.listed(CLAIMS, app="kept")]


def keeping() -> Any:
    """Pods that note their birth on their volume."""
    pod = template("kept", starts="echo born >> /data/log; touch /tmp/ready; ")
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return pod


def test_data_stays_with_the_ordinal_and_goes_with_policy(space: Space) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    claim = {"metadata": {"name": "data"}, "spec": spec}
    made = stateful_set("kept", 2, keeping(), volumeClaimTemplates=[claim], persistentVolumeClaimRetentionPolicy=policy)
    space.create(SETS, made)
    before = space.ready("kept", 2)["kept-1"]
    space.delete("pods", "kept-1")

    def is_back() -> bool:
        pods = space.pods("kept")
        return "kept-1" in pods and pods["kept-1"]["metadata"]["uid"] != before["metadata"]["uid"]

    space.until(is_back, "the pod is back")
    space.ready("kept", 2)
    log = space.cluster.kubectl("exec", "-n", space.namespace, "kept-1", "--", "cat", "/data/log")
    assert log.split() == ["born", "born"]
    space.patch(SETS, "kept", {"spec": {"replicas": 1}})
    space.until(lambda: claims(space) == ["data-kept-0"], "the claim went with its pod")
    space.delete(SETS, "kept")
    space.until(lambda: claims(space) == [], "the claims went with the set")
