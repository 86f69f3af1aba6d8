"""What the kubelet's API needs of the kubelet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from knarr.apimachinery.types import Object
from knarr.cri.runtime import RuntimeService


class KubeletView(Protocol):
    """The kubelet behind the API. Pods carry the newest status the kubelet knows; they are read-only."""

    @property
    def node_name(self) -> str:
        """The node's name."""
        ...

    @property
    def runtime(self) -> RuntimeService:
        """The container runtime."""
        ...

    def pod(self, namespace: str, name: str) -> Object | None:
        """A pod of this node."""
        ...

    def pods(self) -> Sequence[Object]:
        """All pods of this node."""
        ...

    def configuration(self) -> Object:
        """The `KubeletConfiguration` in use."""
        ...

    def unhealthy(self) -> str:
        """Why the kubelet is not healthy (its pod loop hangs, the runtime is gone); empty when it is."""
        ...
