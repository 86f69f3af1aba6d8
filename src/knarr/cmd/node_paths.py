"""Where a node keeps its things, all of it below the data directory: what agent and commands have to agree on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knarr.cri.containerd_process import ContainerdOptions
    from knarr.kubelet.server.routes import ServingFiles


@dataclass(frozen=True, slots=True)
class NodePaths:
    """The folders and files of one node. `data_dir` is the cluster's."""

    data_dir: Path

    @property
    def agent(self) -> Path:
        """Everything of the agent."""
        return self.data_dir / "agent"

    @property
    def kubelet(self) -> Path:
        """The kubelet's root: `pods/<uid>/volumes` and so on."""
        return self.agent / "kubelet"

    @property
    def pod_logs(self) -> Path:
        """The containers' logs, a folder for each pod."""
        return self.agent / "logs" / "pods"

    @property
    def services_kubeconfig(self) -> Path:
        """The credentials of the node's proxy, DNS and network; the server beside it writes them."""
        return self.agent / "services.kubeconfig"

    @property
    def imported_images(self) -> Path:
        """What `knarr images import` brought."""
        return self.agent / "images.json"

    def serving(self) -> ServingFiles:
        """What the kubelet's own API is served with; the server beside it writes and renews the files."""
        from knarr.kubelet.server.routes import ServingFiles

        return ServingFiles(self.agent / "kubelet.crt", self.agent / "kubelet.key", self.agent / "ca.crt")

    def containerd(self) -> ContainerdOptions:
        """Where the node's own containerd lives."""
        from knarr.cri.containerd_process import ContainerdOptions

        return ContainerdOptions(
            root=self.agent / "containerd",
            state=self.agent / "run",
            cni_conf=self.agent / "cni",
            certs=self.agent / "certs",
            log=self.data_dir / "log" / "containerd.log",
        )
