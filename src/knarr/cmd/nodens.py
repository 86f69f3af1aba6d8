"""The network namespace of a node: made, connected, taken away.

Without an uplink the namespace has no route to the outside and the host's own network stays as it was: the node's
address is on its loopback interface. With one, a veth pair joins it to the host, which masquerades for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path

from knarr.cmd.clusters import PREFIX, Cluster

_CLONE_NEWNET = 0x40000000
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


class NetworkError(Exception):
    """A command that sets up the namespace failed; the text says which and why."""


def exists(cluster: Cluster) -> bool:
    """Whether the namespace is there: not only its file, which may outlive a restart of the machine."""
    path = cluster.namespace_path
    return path.exists() and path.stat().st_dev != path.parent.stat().st_dev


def create(cluster: Cluster) -> None:
    """Make the namespace with loopback, node address and (if wanted) uplink. Raises `NetworkError`."""
    _run(["ip", "netns", "add", cluster.namespace])
    _try_nftables(cluster)
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


def listen(cluster: Cluster, port: int) -> socket.socket:
    """A listening socket at the node's address, inside the namespace. Raises `OSError`."""
    made: list[socket.socket | OSError] = []

    def inside() -> None:
        # A thread has a network namespace of its own; this one ends with it.
        try:
            _enter(cluster.namespace_path)
            made.append(socket.create_server((cluster.node_address, port), backlog=1024))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


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


def _try_nftables(cluster: Cluster) -> None:
    """Services need the kernel's nftables with address translation: make such a chain and drop it."""
    text = "add table ip try\nadd chain ip try nat { type nat hook postrouting priority 100; }\n"
    text += "add rule ip try nat masquerade\ndelete table ip try\n"
    try:
        _run(enter(cluster, ["nft", "-f", "-"]), text)
    except NetworkError as error:
        reason = str(error).splitlines()[0].partition(": ")[2]
        raise NetworkError(f"this kernel lacks nftables with address translation (nft_nat): {reason}") from error


def _enter(namespace: Path) -> None:
    """Move this thread to a network namespace."""
    handle = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(namespace))
    finally:
        os.close(handle)


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
