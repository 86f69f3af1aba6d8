"""The network namespace of a node: made, connected, taken away.

Without an uplink the namespace has no route to the outside and the host's own network stays as it was: the node's
address is on its loopback interface. With one, a veth pair joins it to the host, which masquerades for it.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

from knarr.cmd.clusters import PREFIX, Cluster

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


class NetworkError(Exception):
    """A command that sets up the namespace failed; the text says which and why."""


def create(cluster: Cluster) -> None:
    """Make the namespace with loopback, node address and (if wanted) uplink. Raises `NetworkError`."""
    _run(["ip", "netns", "add", cluster.namespace])
    lines = ["link set lo up"]
    if not cluster.uplink:
        lines.append(f"addr add {cluster.node_address}/32 dev lo")
    _batch(cluster.namespace, lines)
    resolver = _resolver_dir(cluster)
    resolver.mkdir(parents=True, exist_ok=True)
    # `ip netns exec` shows this file as /etc/resolv.conf to what it runs.
    search = "search default.svc.cluster.local svc.cluster.local cluster.local"
    (resolver / "resolv.conf").write_text(f"nameserver {cluster.dns_address}\n{search}\noptions ndots:5\n")
    if cluster.uplink:
        _connect(cluster)


def remove(cluster: Cluster, *, last_uplink: bool) -> None:
    """Take away what `create` made; whatever is gone already is no error. Its processes must have ended."""
    if cluster.uplink:
        _run_quietly(["ip", "link", "del", host_link(cluster)])
        _run_quietly(["nft", "delete", "table", "ip", host_table(cluster)])
        if last_uplink and not cluster.forwarding_before:
            _FORWARDING.write_text("0")
    _run_quietly(["ip", "netns", "del", cluster.namespace])
    shutil.rmtree(_resolver_dir(cluster), ignore_errors=True)
    with contextlib.suppress(OSError):
        _resolver_dir(cluster).parent.rmdir()


def host_link(cluster: Cluster) -> str:
    """The host's interface of an uplink."""
    return f"{PREFIX}{cluster.slot}"


def host_table(cluster: Cluster) -> str:
    """The host's nftables table of an uplink."""
    return f"{PREFIX}-up-{cluster.name}"


def forwarding() -> bool:
    """Whether the host forwards IPv4 packets."""
    return _FORWARDING.read_text().strip() == "1"


def host_routes() -> list[str]:
    """The destinations the host has routes to, as CIDRs; the default route left out."""
    out = _run(["ip", "-4", "route", "show", "table", "main"])
    words = (line.split() for line in out.splitlines())
    kinds = {"unreachable", "blackhole", "prohibit", "throw", "broadcast", "local"}
    found = (word[1] if word[0] in kinds else word[0] for word in words if word)
    return [text for text in found if text != "default"]


def enter(cluster: Cluster, command: list[str]) -> list[str]:
    """The command that runs `command` in the node's network namespace, everything else as on the host."""
    if cluster.api_only:
        return command
    # Not `ip netns exec`: that mounts a new /sys, without the cgroups.
    return ["nsenter", f"--net={cluster.namespace_path}", "--", *command]


def _connect(cluster: Cluster) -> None:
    link, length = host_link(cluster), cluster.link.prefixlen
    _run(["ip", "link", "add", link, "type", "veth", "peer", "name", "uplink", "netns", cluster.namespace])
    _run(["ip", "addr", "add", f"{cluster.host_address}/{length}", "dev", link])
    _run(["ip", "link", "set", link, "up"])
    lines = [
        f"addr add {cluster.node_address}/{length} dev uplink",
        "link set uplink up",
        f"route add default via {cluster.host_address}",
    ]
    _batch(cluster.namespace, lines)
    table = host_table(cluster)
    rule = f'ip saddr {cluster.link} oifname != "{link}" masquerade'
    text = f"table ip {table} {{\n chain out {{\n type nat hook postrouting priority 100;\n {rule}\n }}\n}}\n"
    _run(["nft", "-f", "-"], text)
    if not forwarding():
        _FORWARDING.write_text("1")


def _resolver_dir(cluster: Cluster) -> Path:
    return Path("/etc/netns") / cluster.namespace


def _batch(namespace: str, lines: list[str]) -> None:
    _run(["ip", "-n", namespace, "-batch", "-"], "\n".join(lines) + "\n")


def _run(command: list[str], text: str = "") -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NetworkError(f"{command[0]} is not installed") from error
    if done.returncode:
        raise NetworkError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _run_quietly(command: list[str]) -> None:
    with contextlib.suppress(NetworkError):
        _run(command)
