"""The kubelet's own files of a pod: folders, /etc/hosts, termination messages, logs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from knarr.apimachinery.types import Object
from knarr.kubelet import termination
from knarr.kubelet.container_config import log_path
from knarr.kubelet.hosts_file import hosts_file
from knarr.kubelet.node_config import NodeConfig
from knarr.kubelet.pod_names import log_folder

_HOSTS = Path("/etc/hosts")


def make_folders(pod: Object, node: NodeConfig) -> None:
    """The pod's folder and that of its logs. Raises `OSError`."""
    node.pod_directory(pod["metadata"]["uid"]).mkdir(parents=True, exist_ok=True, mode=0o750)
    (node.logs / log_folder(pod)).mkdir(parents=True, exist_ok=True)


def container_files(
    pod: Object, container: Object, attempt: int, ips: Sequence[str], node: NodeConfig
) -> list[tuple[str, str]]:
    """Make what a container gets beside its volumes; gives (path inside, path on the host). Raises `OSError`."""
    uid, name = pod["metadata"]["uid"], container["name"]
    (node.logs / log_folder(pod) / name).mkdir(parents=True, exist_ok=True)
    files = []
    if ips or pod["spec"].get("hostNetwork"):
        path = node.pod_directory(uid) / "etc-hosts"
        host_text = _HOSTS.read_text() if pod["spec"].get("hostNetwork") and _HOSTS.exists() else ""
        path.write_text(hosts_file(pod, ips, node.cluster_domain, host_text))
        path.chmod(0o644)
        files.append(("/etc/hosts", str(path)))
    if inside := container.get("terminationMessagePath"):
        files.append((inside, str(termination.message_file(node.root, uid, name, str(attempt)))))
    return files


def last_words(pod: Object, container: Object, attempt: int, node: NodeConfig, *, failed: bool) -> str:
    """What a container left as its termination message."""
    uid, name = pod["metadata"]["uid"], container["name"]
    file = node.pod_directory(uid) / "containers" / name / str(attempt)
    log = node.logs / log_folder(pod) / log_path(name, attempt)
    return termination.message(container, file if file.exists() else None, log, failed=failed)


def remove_files(pod: Object, node: NodeConfig) -> None:
    """Take all of a pod's files away. Its volumes must be gone. Raises `OSError`."""
    for folder in (node.pod_directory(pod["metadata"]["uid"]), node.logs / log_folder(pod)):
        if folder.is_dir():
            shutil.rmtree(folder)
