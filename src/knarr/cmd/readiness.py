"""Whether a cluster is ready, asked from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from knarr.apimachinery import timestamps
from knarr.cmd.api import Api, Unreachable
from knarr.cmd.clusters import Cluster
from knarr.cmd.preflight import UpError
from knarr.component_base.clock import RealClock

_PAUSE = 0.05
_LONGEST_LINE = 300


def await_ready(cluster: Cluster, patience: float, check: Callable[[], None]) -> None:
    """Wait for /readyz and the node. `check` raises to give up. Raises `UpError` with what is missing."""
    clock = RealClock()
    deadline, since = time.monotonic() + patience, timestamps.micro(clock.now())
    missing = "the server has not started"
    while time.monotonic() < deadline:
        check()
        missing = _missing(cluster, since)
        if not missing:
            return
        time.sleep(_PAUSE)
    raise UpError(f"not ready after {patience:.0f} s: {missing}")


def last_words(cluster: Cluster) -> list[str]:
    """The last line of each process's log, for the one who wonders why it is not ready."""
    out = []
    for path in sorted(cluster.log_dir.glob("*.log")):
        lines = path.read_text(errors="replace").splitlines()
        if lines:
            out.append(f"  {path.name}: {lines[-1].strip()[:_LONGEST_LINE]}")
    return out


def is_ready(node: dict[str, Any]) -> bool:
    """Whether a Node object has the condition Ready."""
    conditions = (node.get("status") or {}).get("conditions")
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions or ())


def _renewed(api: Api) -> str:
    """When a node last gave a sign of life: what is Ready may have been so in an earlier run."""
    leases = api.read("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")["items"]
    return max((lease["spec"].get("renewTime") or "" for lease in leases), default="")


def _missing(cluster: Cluster, since: str) -> str:
    """What the cluster lacks to be ready; empty when it is."""
    try:
        api = Api(cluster.admin_kubeconfig)
        status, body = api.get("/readyz")
        if status != 200:
            return f"/readyz says {body.decode(errors='replace').strip()[-200:]}"
        if cluster.api_only:
            return ""
        nodes = api.read("/api/v1/nodes")["items"]
        renewed = _renewed(api)
    except Unreachable as error:
        return str(error)
    if not nodes:
        return "the node has not registered"
    if not all(is_ready(node) for node in nodes):
        return "the node is not Ready"
    return "" if renewed >= since else "the node has not reported"
