"""Keeps the server and the agent of one cluster running, and its etcd where it has one.

A process of its own, small: no event loop, few imports.

`knarr up` starts it with the cluster's name, the lock that makes it the supervisor, and the listening sockets. It
starts again what dies (at once, then ever more slowly) and ends both on SIGTERM, the agent first. When it dies itself,
server or agent start it again (`member`); what runs already it then takes over as it is, its own children or not.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from knarr.cmd import clusters, members, own_etcd, processes
from knarr.cmd.clusters import Cluster
from knarr.cmd.ends import Ends
from knarr.cmd.members import AGENT, DATASTORE, SERVER
from knarr.cmd.nodens import enter
from knarr.cmd.restarts import Restarts

#: Seconds a child has to end in when asked.
_PATIENCE = 15.0


@dataclass(slots=True)
class Child:
    """One supervised program. Times in monotonic seconds."""

    name: str
    command: Sequence[str]
    log: Path
    pid: int = 0
    #: A pidfd: readable once the process has ended.
    handle: int = -1
    began: float = 0.0
    due: float = 0.0
    restarts: Restarts = field(default_factory=Restarts)

    def runs(self, pid: int, handle: int, now: float) -> None:
        """Take note of a process, just started or found."""
        self.pid, self.handle, self.began = pid, handle, now

    def died(self, now: float) -> None:
        """Plan the next start."""
        self.pid, self.handle = 0, -1
        self.due = now + self.restarts.pause(now - self.began)


def launch(cluster: Cluster, lock: int, sockets: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start a supervisor and give it the lock (`members.take`); it outlives us."""
    numbers = [str(number) for number in (lock, *sockets)]
    with os.fdopen(_log(cluster.log_dir / "supervisor.log"), "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "knarr.cmd.supervisor", cluster.name, *numbers],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock, *sockets),
            start_new_session=True,
            cwd="/",
        )
    members.sign(lock, process.pid)
    os.close(lock)
    return process


def _log(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def children(cluster: Cluster, sockets: Sequence[int]) -> list[Child]:
    """What runs for a cluster."""
    server = ["server", "--data-dir", cluster.data_dir, "--name", cluster.name, "--foreground"]
    for number in sockets:
        server += ["--listen-fd", str(number)]
    server += ["--cluster-cidr", cluster.cluster_cidr, "--service-cidr", cluster.service_cidr]
    server += ["--kubeconfig", str(cluster.admin_kubeconfig), *own_etcd.server_flags(cluster)]
    server += (*_strangers(cluster), *cluster.server_flags)
    log = cluster.log_dir / f"{DATASTORE}.log"
    store = [Child(DATASTORE, enter(cluster, own_etcd.command(cluster)), log)] if own_etcd.runs_for(cluster) else []
    if cluster.api_only:
        server += ["--advertise-address", "127.0.0.1"]
        return [*store, _child(cluster, SERVER, server, sockets)]
    address = cluster.node_address
    server += ["--dns-address", cluster.dns_address, "--advertise-address", address]
    agent = ["agent", "--data-dir", cluster.data_dir, "--name", cluster.name, "--node-ip", address]
    agent += ["--kubeconfig", str(cluster.agent_kubeconfig), "--dns-address", cluster.dns_address]
    agent += ["--cluster-cidr", cluster.cluster_cidr, "--service-cidr", cluster.service_cidr]
    return [*store, _child(cluster, SERVER, server, sockets), _child(cluster, AGENT, agent, sockets)]


def _strangers(cluster: Cluster) -> Sequence[str]:
    """Who shows no credentials is refused, as by K3s, unless the cluster's own flags say who is let in."""
    own = ("--anonymous-auth", "--authentication-config")
    return () if any(flag.startswith(own) for flag in cluster.server_flags) else ("--anonymous-auth=false",)


def _child(cluster: Cluster, name: str, verb: Sequence[str], sockets: Sequence[int]) -> Child:
    member = [cluster.name, name, ",".join(str(number) for number in sockets)]
    command = [sys.executable, "-m", "knarr.cmd.member", *member, *verb]
    return Child(name, enter(cluster, command), cluster.log_dir / f"{name}.log")


def supervise(cluster: Cluster, lock: int, sockets: Sequence[int], ends: Ends) -> None:
    """Run until somebody asks us to end. `lock` makes us the supervisor."""
    members.sign(lock, os.getpid())
    os.set_inheritable(lock, False)
    for number in sockets:
        os.set_inheritable(number, True)
    cluster.log_dir.mkdir(parents=True, exist_ok=True)
    running = children(cluster, sockets)
    while not ends.asked:
        for child in running:
            _start_if_due(cluster, child)
        _wait(running, ends.wake)
        for child in running:
            _reap(child)
    _stop(running)
    latest = clusters.load(cluster.name)
    if latest is not None:
        clusters.save(replace(latest, stopped=True))


def _start_if_due(cluster: Cluster, child: Child) -> None:
    """Start a child, or take over the one that runs: its supervisor died, or it was started twice."""
    now = time.monotonic()
    if child.pid or child.due > now:
        return
    found = members.holder(cluster.name, child.name)
    handle = processes.watch(found) if found else None
    if found is not None and handle is not None:
        _say(f"{child.name} runs already: {found.pid}")
        child.runs(found.pid, handle, now)
        return
    pid = _spawn(child)
    child.runs(pid, os.pidfd_open(pid), now)


def _spawn(child: Child) -> int:
    log = _log(child.log)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    try:
        # A group of its own keeps a terminal's Ctrl-C from it.
        return os.posix_spawnp(
            child.command[0], list(child.command), os.environ, file_actions=actions, setsigmask=[], setpgroup=0
        )
    finally:
        os.close(log)
        os.close(null)


def _wait(running: list[Child], wake: socket.socket) -> None:
    """Sleep until a signal comes, a child ends or a start is due."""
    starts = [child.due for child in running if not child.pid]
    timeout = max(min(starts) - time.monotonic(), 0) if starts else None
    handles = [child.handle for child in running if child.pid]
    ready, _, _ = select.select([wake.fileno(), *handles], [], [], timeout)
    if wake.fileno() in ready:
        wake.recv(64)


def _reap(child: Child) -> None:
    """Take note of a child that has ended."""
    if not child.pid or not processes.has_ended(child.handle):
        return
    how = ""
    try:
        ended = os.waitid(os.P_PIDFD, child.handle, os.WEXITED | os.WNOHANG)
        how = f" with {ended.si_status}" if ended else ""
    except ChildProcessError:
        # Taken over from a supervisor that died: another parent gets to know.
        pass
    os.close(child.handle)
    now = time.monotonic()
    child.died(now)
    _say(f"{child.name} ended{how}, next start in {child.due - now:.1f} s")


def _stop(running: list[Child]) -> None:
    for child in reversed(running):
        process = processes.identify(child.pid) if child.pid else None
        if process is not None:
            processes.stop(process, _PATIENCE)


def _say(text: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{stamp} supervisor {text}", file=sys.stderr, flush=True)


def main() -> None:
    """`python -m knarr.cmd.supervisor NAME LOCK SOCKET…`."""
    name, lock, *sockets = sys.argv[1:]
    ends = Ends()
    cluster = clusters.load(name)
    if cluster is None:
        raise SystemExit(f"no cluster {name!r}")
    supervise(cluster, int(lock), [int(text) for text in sockets], ends)


if __name__ == "__main__":
    main()
