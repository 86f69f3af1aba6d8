"""What the kubelet is told about its node."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Resolver:
    """The node's own name resolution, as its resolv.conf has it."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node. `root` is the kubelet's directory, `logs` that of the pods' logs.

    `cgroup_root` is the control group below which all pods run (without slashes), empty for the top.
    `memory` is the machine's memory in bytes.
    """

    name: str
    root: Path
    logs: Path
    host_ips: tuple[str, ...]
    cgroup_root: str = ""
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    memory: int = 0
    max_pods: int = 110
    port: int = 10250
    resolver: Resolver = field(default_factory=Resolver)
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[dict[str, str], ...] = ()

    def pod_directory(self, uid: str) -> Path:
        """Where a pod's files lie."""
        return self.root / "pods" / uid


def parse_resolver(text: str) -> Resolver:
    """A resolv.conf. https://man7.org/linux/man-pages/man5/resolv.conf.5.html."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = tuple(words[1:])
        elif words[0] == "options":
            options = tuple(words[1:])
    return Resolver(tuple(servers), searches, options)
