"""The volume plugins of this node, in the order in which they are asked."""

from __future__ import annotations

from knarr.apimachinery.types import Object
from knarr.kubelet.volumes import config_map, downward_api, projected, secret
from knarr.kubelet.volumes.empty_dir import EmptyDir
from knarr.kubelet.volumes.host_path import HostPath
from knarr.kubelet.volumes.local import Local
from knarr.kubelet.volumes.plugin import VolumeError, VolumePlugin

PLUGINS: tuple[VolumePlugin, ...] = (
    EmptyDir(),
    HostPath(),
    config_map.PLUGIN,
    secret.PLUGIN,
    downward_api.PLUGIN,
    projected.PLUGIN,
    Local(),
)


def find(volume: Object) -> VolumePlugin:
    """The plugin of a volume whose claim is resolved. Raises `VolumeError`."""
    for plugin in PLUGINS:
        if volume.get(plugin.source) is not None:
            return plugin
    sources = ", ".join(sorted(key for key in volume if key not in ("name", "readOnly"))) or "no source"
    raise VolumeError(f"no volume plugin matched: {sources}")
