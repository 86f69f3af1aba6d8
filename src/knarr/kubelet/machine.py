"""Where a node's figures are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from knarr.cri.runtime import ImageService
from knarr.kubelet.cgroups import Cgroups
from knarr.kubelet.node_config import NodeConfig
from knarr.kubelet.node_facts import NodeFacts


@dataclass(frozen=True, slots=True)
class Machine:
    """The node, its control groups, images and `/proc`."""

    node: NodeConfig
    facts: NodeFacts
    cgroups: Cgroups
    images: ImageService
    proc: Path = Path("/proc")
