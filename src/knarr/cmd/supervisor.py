"""Keeps the server and the agent of one cluster running. A process of its own, small: no event loop, few imports.

`knarr up` starts it with the cluster's name and the listening sockets it inherits; it starts again what dies (at
once, then ever more slowly) and ends both on SIGTERM, the agent first.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from knarr.cmd import clusters, processes
from knarr.cmd.clusters import Cluster
from knarr.cmd.nodens import enter

_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
#: A child that ran this long (seconds) died of something new: start again at once.
_STEADY = 10.0
#: Seconds a child has to end in when asked.
_PATIENCE = 15.0


@dataclass(slots=True)
class Child:
    """One supervised program. Times in monotonic seconds."""

    name: str
    command: Sequence[str]
    log: Path
    pid: int = 0
    began: float = 0.0
    due: float = 0.0
    pause: float = field(default=_FIRST_PAUSE)

    def died(self, now: float) -> None:
        """Plan the next start: soon after a long life, later after each short one."""
        self.pid = 0
        steady = now - self.began >= _STEADY
        self.pause = _FIRST_PAUSE if steady else self.pause
        self.due = now + self.pause
        self.pause = min(self.pause * 2, _LONGEST_PAUSE)


def children(cluster: Cluster, sockets: Sequence[int]) -> list[Child]:
    """What runs for a cluster."""
    python = [sys.executable, "-m", "knarr.cmd.main"]
    server = [*python, "server", "--data-dir", cluster.data_dir, "--name", cluster.name, "--foreground"]
    for socket in sockets:
        server += ["--listen-fd", str(socket)]
    server += ["--cluster-cidr", cluster.cluster_cidr, "--service-cidr", cluster.service_cidr]
    server += ["--kubeconfig", str(cluster.admin_kubeconfig)]
    log = cluster.log_dir
    if cluster.api_only:
        server += ["--advertise-address", "127.0.0.1"]
        return [Child("server", server, log / "server.log")]
    address = cluster.node_address
    server += ["--dns-address", cluster.dns_address]
    server += ["--bind-address", address, "--port", "6443", "--advertise-address", address]
    agent = [*python, "agent", "--data-dir", cluster.data_dir, "--name", cluster.name, "--node-ip", address]
    agent += ["--kubeconfig", str(cluster.agent_kubeconfig), "--dns-address", cluster.dns_address]
    agent += ["--cluster-cidr", cluster.cluster_cidr, "--service-cidr", cluster.service_cidr]
    return [
        Child("server", enter(cluster, server), log / "server.log"),
        Child("agent", enter(cluster, agent), log / "agent.log"),
    ]


def supervise(cluster: Cluster, sockets: Sequence[int]) -> None:
    """Run until SIGTERM or SIGINT. Must be called in the main thread of a process without other children."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    mine = processes.identify(os.getpid())
    cluster = replace(cluster, supervisor=mine)
    cluster.log_dir.mkdir(parents=True, exist_ok=True)
    running = children(cluster, sockets)
    while True:
        cluster = _start_due(cluster, running, sockets)
        if _wait(running) in (signal.SIGTERM, signal.SIGINT):
            break
        _reap(running)
    _stop(running)
    _note(replace(cluster, supervisor=None, server=None, agent=None))


def _start_due(cluster: Cluster, running: list[Child], sockets: Sequence[int]) -> Cluster:
    now = time.monotonic()
    started = {}
    for child in running:
        if not child.pid and child.due <= now:
            child.pid, child.began = _spawn(child, sockets, os.environ), now
            started[child.name] = processes.identify(child.pid)
    if started:
        cluster = replace(
            cluster, server=started.get("server", cluster.server), agent=started.get("agent", cluster.agent)
        )
        _note(cluster)
    return cluster


def _note(cluster: Cluster) -> None:
    """Write down the processes alone: `knarr up` adds the kubeconfig to the record after ours was read."""
    current = clusters.load(cluster.name) or cluster
    clusters.save(replace(current, supervisor=cluster.supervisor, server=cluster.server, agent=cluster.agent))


def _spawn(child: Child, sockets: Sequence[int], environment: Mapping[str, str]) -> int:
    for socket in sockets:
        os.set_inheritable(socket, child.name == "server")
    log = os.open(child.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    try:
        # Signals must not stay blocked in the child. A group of its own keeps a terminal's Ctrl-C from it.
        return os.posix_spawnp(
            child.command[0], list(child.command), environment, file_actions=actions, setsigmask=[], setpgroup=0
        )
    finally:
        os.close(log)
        os.close(null)


def _wait(running: list[Child]) -> int:
    """Sleep until a signal comes or a start is due; returns the signal, 0 for none."""
    starts = [child.due for child in running if not child.pid]
    if not starts:
        return signal.sigwaitinfo(_SIGNALS).si_signo
    got = signal.sigtimedwait(_SIGNALS, max(min(starts) - time.monotonic(), 0))
    return got.si_signo if got else 0


def _reap(running: list[Child]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        for child in running:
            if child.pid == pid:
                child.died(time.monotonic())
                _say(f"{child.name} ended with {os.waitstatus_to_exitcode(status)}, next start in {child.pause:.1f} s")


def _stop(running: list[Child]) -> None:
    for child in reversed(running):
        process = processes.identify(child.pid) if child.pid else None
        if process is not None:
            processes.stop(process, _PATIENCE)
    _reap(running)


def _say(text: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{stamp} supervisor {text}", file=sys.stderr, flush=True)


def main() -> None:
    """`python -m knarr.cmd.supervisor NAME FD…`."""
    cluster = clusters.load(sys.argv[1])
    if cluster is None:
        raise SystemExit(f"no cluster {sys.argv[1]!r}")
    supervise(cluster, [int(text) for text in sys.argv[2:]])


if __name__ == "__main__":
    main()
