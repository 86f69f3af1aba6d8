"""`python -m knarr.cmd.own_etcd CLUSTER`: the etcd of one cluster, on unix sockets in the cluster's data directory.

It takes the member's lock and becomes etcd; the lock stays with the process. Nobody but the directory's owner can
connect, and no port is taken.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from knarr.cmd import clusters, members
from knarr.cmd.clusters import Cluster

#: Exit code of a second one: the supervisor takes over the first.
TAKEN = 75
#: etcd wants a port in an address; with unix sockets it is a part of the file's name.
_CLIENT, _PEER = "client:0", "peer:0"
#: What the path of a socket may have, with its end.
_LONGEST_PATH = 107


def runs_for(cluster: Cluster) -> bool:
    """Whether the cluster has an etcd of its own."""
    return cluster.datastore == "etcd" and not cluster.datastore_flags


def server_flags(cluster: Cluster) -> list[str]:
    """What tells a server where the cluster's datastore is."""
    if runs_for(cluster):
        return ["--datastore-endpoint", f"unix://{_folder(cluster) / _CLIENT}"]
    return ["--datastore", cluster.datastore, *cluster.datastore_flags]


def command(cluster: Cluster) -> list[str]:
    """What starts it."""
    return [sys.executable, "-m", "knarr.cmd.own_etcd", cluster.name]


def obstacle(data_dir: Path) -> str:
    """Why there can be none; empty when there can."""
    if shutil.which("etcd") is None:
        return "--datastore etcd needs etcd: apt-get install etcd-server (or --datastore-endpoint of one that runs)"
    path = data_dir / "etcd" / _CLIENT
    if len(os.fsencode(path)) > _LONGEST_PATH:
        return f"--datastore etcd: the path of its socket is too long: {path}"
    return ""


def main() -> int:
    """Become etcd; gives an exit code only where that fails."""
    name = sys.argv[1]
    cluster = clusters.load(name)
    if cluster is None:
        raise SystemExit(f"no cluster {name!r}")
    lock = members.take(name, members.DATASTORE)
    if lock is None:
        print(f"another etcd of cluster {name!r} runs", file=sys.stderr)
        return TAKEN
    os.set_inheritable(lock, True)
    folder = _folder(cluster)
    folder.mkdir(mode=0o700, exist_ok=True)
    # Its sockets' names are relative.
    os.chdir(folder)
    for socket in (_CLIENT, _PEER):
        # What a killed one has left; with the lock in hand, nobody listens there.
        Path(socket).unlink(missing_ok=True)
    if platform.machine() != "x86_64":
        os.environ["ETCD_UNSUPPORTED_ARCH"] = {"aarch64": "arm64"}.get(platform.machine(), "arm")
    os.execvp("etcd", _etcd())
    return 1


def _etcd() -> list[str]:
    client, peer = f"unix://{_CLIENT}", f"unix://{_PEER}"
    flags = {
        "--name": "knarr",
        "--data-dir": "data",
        "--listen-client-urls": client,
        "--advertise-client-urls": client,
        "--listen-peer-urls": peer,
        "--initial-advertise-peer-urls": peer,
        "--initial-cluster": f"knarr={peer}",
        # Entries kept in memory for members that lag: there are none.
        "--snapshot-count": "10000",
        "--logger": "zap",
        "--log-level": "warn",
    }
    return ["etcd", *(f"{flag}={value}" for flag, value in flags.items())]


def _folder(cluster: Cluster) -> Path:
    return Path(cluster.data_dir) / "etcd"


if __name__ == "__main__":
    sys.exit(main())
