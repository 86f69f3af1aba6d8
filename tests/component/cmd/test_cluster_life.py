"""What `up` makes and `down` removes, with small programs in place of server and agent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from knarr.cmd import clusters, down, members, nodens, processes, teardown
from knarr.cmd.clusters import Cluster
from knarr.cmd.processes import Process

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes network namespaces and mounts"),
]

#: A member that does nothing.
IDLE = """
import sys, time
from pathlib import Path
from knarr.cmd import clusters, members
name, run_dir, member = sys.argv[1:]
clusters.run_dir = lambda: Path(run_dir)
if members.take(name, member) is None:
    sys.exit(1)
time.sleep(1000)
"""
#: Supervises two of them; the namespace is entered as for real.
SUPERVISE = """
import sys
from pathlib import Path
from knarr.cmd import clusters, ends, members, nodens, supervisor
name, run_dir, idle = sys.argv[1:]
clusters.run_dir = lambda: Path(run_dir)
def children(cluster, sockets):
    commands = {one: [sys.executable, "-c", idle, name, run_dir, one] for one in ("server", "agent")}
    return [
        supervisor.Child(one, nodens.enter(cluster, command), cluster.log_dir / one)
        for one, command in commands.items()
    ]
supervisor.children = children
supervisor.supervise(clusters.load(name), members.take(name, "supervisor"), [], ends.Ends())
"""


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def census() -> dict[str, object]:
    """What a cluster could leave behind on the machine."""
    name = f"knarr-t{os.getpid()}"
    return {
        "namespaces": [path.name for path in Path("/run/netns").glob(f"{name}*")],
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if name in line],
        "groups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{name}*")],
        "links": [path.name for path in Path("/sys/class/net").glob("knarr*")],
        "resolvers": [str(path) for path in Path("/etc/netns").glob(f"{name}*")],
        "tables": subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout,
        "members": _members(),
    }


def _members() -> int:
    command = f"\0{IDLE}\0t{os.getpid()}\0".encode()
    return sum(1 for path in Path("/proc").glob("[0-9]*/cmdline") if command in _read(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(clusters, "run_dir", lambda: tmp_path / "run")
    name = f"t{os.getpid()}"
    data = tmp_path / f"knarr-{name}"
    data.mkdir()
    made = Cluster(name, 900 + os.getpid() % 100, str(data), 0)
    clusters.save(made)
    yield made
    with teardown.taken_over(made):
        teardown.purge(made)


def supervised(cluster: Cluster) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", SUPERVISE, cluster.name, str(clusters.run_dir()), IDLE]
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(lambda: all(running(cluster)), "not everything started")
    return process


def running(cluster: Cluster) -> tuple[Process | None, Process | None]:
    """Server and agent."""
    return members.holder(cluster.name, "server"), members.holder(cluster.name, "agent")


def killed(process: Process | None) -> None:
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)


def test_what_dies_is_started_again_and_down_ends_all(cluster: Cluster) -> None:
    before = census()
    nodens.create(cluster)
    supervisor = supervised(cluster)
    server, agent = running(cluster)
    inode = cluster.namespace_path.stat().st_ino
    until(lambda: len(processes.in_namespaces([inode])) == 2, "not in the namespace")
    killed(server)
    until(lambda: running(cluster)[0] not in (None, server), "not started again")
    assert running(cluster)[1] == agent
    assert down.end(cluster, keep_data=False) == 0
    assert supervisor.wait(90) == 0
    assert clusters.load(cluster.name) is None
    assert not clusters.run_dir().exists()
    assert not Path(cluster.data_dir).exists()
    assert census() == before


def test_a_new_supervisor_takes_over_what_runs(cluster: Cluster) -> None:
    nodens.create(cluster)
    supervisor = supervised(cluster)
    server, agent = running(cluster)
    supervisor.kill()
    supervisor.wait(90)
    killed(server)
    until(lambda: running(cluster)[0] is None, "the server is gone")
    second = supervised(cluster)
    assert running(cluster)[1] == agent
    # Not its own child: it must be seen to end all the same.
    killed(agent)
    until(lambda: running(cluster)[1] not in (None, agent), "not started again")
    second.send_signal(signal.SIGTERM)
    assert second.wait(90) == 0
    assert running(cluster) == (None, None)
    stopped = clusters.load(cluster.name)
    assert stopped is not None
    assert stopped.stopped


def test_down_also_removes_what_a_killed_supervisor_left(cluster: Cluster) -> None:
    before = census()
    nodens.create(cluster)
    supervisor = supervised(cluster)
    supervisor.kill()
    supervisor.wait(90)
    # A "pod": a namespace of its own mounted below the data directory, a process in it, a file system, a group.
    pod = Path(cluster.data_dir) / "netns" / "pod"
    pod.parent.mkdir()
    pod.touch()
    subprocess.run(["unshare", f"--net={pod}", "true"], check=True)
    stray = subprocess.Popen(["nsenter", f"--net={pod}", "sleep", "1000"])
    volume = Path(cluster.data_dir) / "volume"
    volume.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", volume], check=True)
    (volume / "file").write_text("x")
    for top in Path("/sys/fs/cgroup").iterdir():
        if (top / "cgroup.procs").exists() and not top.is_symlink():
            (top / teardown.cgroup_name(cluster) / "pod").mkdir(parents=True)
    assert census() != before
    assert down.end(cluster, keep_data=True) == 0
    assert stray.wait(90) == -signal.SIGKILL
    assert Path(cluster.data_dir).exists()
    assert not volume.joinpath("file").exists()
    assert census() == before


def test_an_uplink_reaches_the_host_and_only_through_it() -> None:
    """In a namespace that plays the host: nothing here touches the machine's own network."""
    code = """
        import subprocess, sys
        from knarr.cmd import clusters, nodens
        forwarding = nodens.forwarding()
        cluster = clusters.Cluster(sys.argv[1], 7, "/nonexistent", 0, uplink=True, forwarding_before=forwarding)
        nodens.create(cluster)
        try:
            inside = ["nsenter", f"--net={cluster.namespace_path}"]
            probe = "import socket; s = socket.create_connection((sys.argv[1], 7777)); print(s.recv(99).decode())"
            import socket
            with socket.create_server(("198.51.100.1", 7777)) as server:
                client = subprocess.Popen([*inside, sys.executable, "-c", "import sys;" + probe, "198.51.100.1"],
                                          stdout=subprocess.PIPE, text=True)
                connection, peer = server.accept()
                connection.sendall(peer[0].encode())
                connection.close()
                print(client.communicate(timeout=90)[0].strip(), nodens.forwarding())
        finally:
            nodens.remove(cluster, last_uplink=True)
        print(nodens.forwarding(), nodens.host_routes())
    """
    host = f"knarr-h{os.getpid()}"
    subprocess.run(["ip", "netns", "add", host], check=True)
    try:
        subprocess.run(["ip", "-n", host, "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "-n", host, "addr", "add", "198.51.100.1/32", "dev", "lo"], check=True)
        command = [
            "nsenter",
            f"--net=/run/netns/{host}",
            sys.executable,
            "-c",
            textwrap.dedent(code),
            f"u{os.getpid()}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        assert done.stderr == ""
        # On its way to the host itself nothing is translated.
        assert done.stdout.split("\n")[:2] == ["172.30.0.30 True", "False []"]
        tables = ["nsenter", f"--net=/run/netns/{host}", "nft", "list", "tables"]
        assert subprocess.run(tables, capture_output=True, text=True, check=True).stdout == ""
    finally:
        subprocess.run(["ip", "netns", "del", host], check=True)
