"""What one scheduling cycle costs, in microseconds, with 100, 1,000 and 5,000 nodes.

usage: python bench/schedbench.py [pods]
"""

from __future__ import annotations

import random
import sys
import time

from knarr.apimachinery.types import Object
from knarr.scheduler import cycle, profile
from knarr.scheduler.cache import Cache
from knarr.scheduler.pod_info import PodInfo


def node(index: int) -> Object:
    room = {"cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    labels = {"kubernetes.io/hostname": f"n{index}", "topology.kubernetes.io/zone": f"z{index % 3}", "bench": "1"}
    return {"metadata": {"name": f"n{index}", "labels": labels}, "status": {"allocatable": room}}


def pod(index: int, kind: str) -> Object:
    container = {"name": "c", "image": "nginx", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    spec: Object = {"containers": [container], "nodeSelector": {"bench": "1"}, "tolerations": [{"operator": "Exists"}]}
    selector = {"matchLabels": {"app": "s"}}
    zone = "topology.kubernetes.io/zone"
    if kind == "spread":
        spec["topologySpreadConstraints"] = [
            {"maxSkew": 5, "topologyKey": zone, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector}
        ]
    if kind == "anti-affinity":
        term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    meta = {"name": f"p{index}", "namespace": "bench", "uid": f"u{index}", "labels": {"app": "s"}}
    return {"metadata": meta, "spec": spec}


def measure(nodes: int, pods: int, kind: str) -> float:
    """Seconds a pod, from its object to being assumed on a node."""
    cache = Cache()
    for index in range(nodes):
        cache.set_node(f"n{index}", node(index))
    objects = [pod(index, kind) for index in range(pods)]
    settings = cycle.Settings(profile.DEFAULT, random.Random(1).randrange)
    start, began = 0, time.process_time()
    for obj in objects:
        info = PodInfo(obj)
        decision = cycle.schedule(info, cache, settings, start)
        cache.assume(info, decision.node_name)
        start = decision.next_start
    return (time.process_time() - began) / pods


def main() -> None:
    pods = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for kind in ("plain", "spread", "anti-affinity"):
        for nodes in (100, 1000, 5000):
            count = min(pods, nodes)
            print(f"{kind:14} {nodes:5} nodes {measure(nodes, count, kind) * 1e6:9.0f} us/pod")


if __name__ == "__main__":
    main()
