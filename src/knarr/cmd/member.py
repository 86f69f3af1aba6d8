"""`python -m knarr.cmd.member CLUSTER MEMBER SOCKETS VERB…`: a server or an agent that knows it belongs to a cluster.

It takes the member's lock, then runs the verb of `knarr`, and meanwhile a thread watches the supervisor: when that dies
without having been asked to, it is started again with the listening sockets, which every member keeps open for that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from knarr.cmd import clusters, members, processes
from knarr.cmd.clusters import Cluster
from knarr.cmd.members import SERVER, SUPERVISOR
from knarr.cmd.processes import Process
from knarr.cmd.restarts import Restarts
from knarr.cmd.supervisor import launch

#: Exit code of a second server or agent: the supervisor takes over the first.
TAKEN = 75
#: Seconds the agent leaves to the server for starting the supervisor.
_PRECEDENCE = 0.5
#: Seconds between looks while somebody holds the supervisor's lock without having said who it is.
_PAUSE = 0.05


def main(argv: Sequence[str] | None = None) -> int:
    """Run one member; gives the exit code of its verb."""
    words = list(sys.argv[1:] if argv is None else argv)
    name, member, sockets = words[:3]
    if members.take(name, member) is None:
        print(f"another {member} of cluster {name!r} runs", file=sys.stderr)
        return TAKEN
    inherited = [int(text) for text in sockets.split(",") if text]
    # Copies, because a server that ends closes its own.
    kept = [os.dup(handle) for handle in inherited]
    for handle in inherited:
        # Not for containerd and whatever else is started from here.
        os.set_inheritable(handle, False)
    threading.Thread(target=guard, args=(name, member, kept), name="guard", daemon=True).start()
    from knarr.cmd.main import main as knarr

    return knarr(words[3:])


def guard(name: str, member: str, sockets: Sequence[int]) -> None:
    """See to it that there is a supervisor, until the cluster is ended on purpose."""
    launched: subprocess.Popen[bytes] | None = None
    restarts = Restarts()
    while True:
        found = members.holder(name, SUPERVISOR)
        if found is not None:
            lived = _watch(found)
            if launched is not None:
                launched.poll()
            time.sleep(restarts.pause(lived) + (0 if member == SERVER else _PRECEDENCE))
            continue
        cluster = clusters.load(name)
        if cluster is None or cluster.stopped:
            return
        try:
            launched = _launch(cluster, sockets) or launched
        except OSError as error:
            print(f"{member}: the supervisor cannot be started: {error}", file=sys.stderr, flush=True)
            time.sleep(restarts.pause(0))


def _watch(supervisor: Process) -> float:
    """Wait for its end; the seconds that took."""
    began = time.monotonic()
    processes.wait(supervisor)
    return time.monotonic() - began


def _launch(cluster: Cluster, sockets: Sequence[int]) -> subprocess.Popen[bytes] | None:
    """Start a supervisor, unless somebody else is about to."""
    lock = members.take(cluster.name, SUPERVISOR)
    if lock is None:
        time.sleep(_PAUSE)
        return None
    return launch(cluster, lock, sockets)


if __name__ == "__main__":
    sys.exit(main())
