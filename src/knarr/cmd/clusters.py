"""The clusters `knarr up` has made on this machine: what is written down of each, and where."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import orjson

DEFAULT_NAME = "default"
#: Of the namespace's name and of interfaces and tables on the host.
PREFIX = "knarr"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")
_LINKS = ipaddress.ip_network("172.30.0.0/16")


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster on one machine. `slot` numbers it among its neighbours."""

    name: str
    slot: int
    data_dir: str
    port: int
    api_only: bool = False
    uplink: bool = False
    cluster_cidr: str = "10.42.0.0/16"
    service_cidr: str = "10.43.0.0/16"
    kubeconfig: str = ""
    #: What keeps the state; `etcd` is one of its own, unless the flags for the server lead to another.
    datastore: str = "sqlite"
    datastore_flags: Sequence[str] = ()
    #: More flags for the server, as `knarr server` takes them.
    server_flags: Sequence[str] = ()
    #: Whether the host forwarded packets before `--uplink` turned that on.
    forwarding_before: bool = True
    #: Whether it was ended on purpose, its data kept: nobody brings it up again but `knarr up`.
    stopped: bool = False

    @property
    def namespace(self) -> str:
        """The name of the node's network namespace."""
        return f"{PREFIX}-{self.name}"

    @property
    def namespace_path(self) -> Path:
        """The file that `nsenter` opens."""
        return Path("/run/netns") / self.namespace

    @property
    def context(self) -> str:
        """The name of the kubeconfig context."""
        return PREFIX if self.name == DEFAULT_NAME else f"{PREFIX}-{self.name}"

    @property
    def link(self) -> ipaddress.IPv4Network:
        """The four addresses of the link between host and node."""
        first = int(_LINKS.network_address) + 4 * self.slot
        return ipaddress.IPv4Network((first, 30))

    @property
    def node_address(self) -> str:
        """The node's address."""
        return str(self.link[2])

    @property
    def host_address(self) -> str:
        """The host's end of the link; used with an uplink only."""
        return str(self.link[1])

    @property
    def dns_address(self) -> str:
        """The tenth Service address, DNS."""
        return str(ipaddress.ip_network(self.service_cidr)[10])

    @property
    def admin_kubeconfig(self) -> Path:
        """The administrator's kubeconfig, written by the server."""
        return Path(self.data_dir) / "admin.kubeconfig"

    @property
    def agent_kubeconfig(self) -> Path:
        """The node's own credentials, written by the server."""
        return Path(self.data_dir) / "agent" / "kubeconfig"

    @property
    def log_dir(self) -> Path:
        """Where server, agent and supervisor log."""
        return Path(self.data_dir) / "log"


def valid_name(name: str) -> bool:
    """Whether a cluster may be called so: a short DNS label."""
    return _NAME.fullmatch(name) is not None


def run_dir() -> Path:
    """Where clusters are written down: gone after a reboot, as their processes are."""
    if os.geteuid() == 0:
        return Path("/run/knarr")
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base) / "knarr" if base else Path.home() / ".local" / "state" / "knarr"


def default_data_dir(name: str) -> Path:
    """Where a cluster's data lies unless told otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/knarr/clusters") / name
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "knarr" / "clusters" / name


def load(name: str) -> Cluster | None:
    """A cluster by name; `None` if there is none."""
    try:
        return _decode(orjson.loads(_path(name).read_bytes()))
    except FileNotFoundError:
        return None


def load_all() -> list[Cluster]:
    """Every cluster of this machine (for root) or of this user."""
    names = sorted(path.stem for path in run_dir().glob("*.json")) if run_dir().is_dir() else []
    return [cluster for name in names if (cluster := load(name)) is not None]


def save(cluster: Cluster) -> None:
    """Write a cluster down, atomically."""
    path = _path(cluster.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.new")
    # Without what has its default value, so that another version of knarr can read it.
    values = ((each, getattr(cluster, each.name)) for each in fields(cluster))
    record = {each.name: value for each, value in values if value != each.default}
    temporary.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    temporary.replace(path)


def forget(name: str) -> None:
    """Take a cluster off the list."""
    _path(name).unlink(missing_ok=True)


def free_slot(taken: Iterable[Cluster], routed: Iterable[str]) -> int:
    """The first slot that no other cluster has and whose link the host does not route elsewhere (`routed`: CIDRs)."""
    used = {cluster.slot for cluster in taken}
    networks = [ipaddress.ip_network(text, strict=False) for text in routed if ":" not in text]
    blank = Cluster("", 0, "", 0)
    for slot in range(1, _LINKS.num_addresses // 4):
        link = replace(blank, slot=slot).link
        if slot not in used and not any(link.overlaps(network) for network in networks):
            return slot
    raise RuntimeError(f"no free link in {_LINKS}")


def _path(name: str) -> Path:
    return run_dir() / f"{name}.json"


def _decode(data: dict[str, Any]) -> Cluster:
    # Another version of knarr may have written down more.
    known = {each.name for each in fields(Cluster)}
    for key in ("datastore_flags", "server_flags"):
        data[key] = tuple(data.get(key, ()))
    return Cluster(**{key: value for key, value in data.items() if key in known})
