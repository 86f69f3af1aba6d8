"""`knarr up`: a whole cluster on this machine, in a network namespace of its own."""

from __future__ import annotations

import argparse
import ipaddress
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from knarr.cmd import clusters, nodens, processes, teardown
from knarr.cmd.api import Api, Unreachable
from knarr.cmd.clusters import Cluster

API_PORT = 6443
_PROGRAMS = {"ip": "iproute2", "nsenter": "util-linux", "nft": "nftables", "containerd": "containerd", "runc": "runc"}
#: Seconds until a cluster that is not ready counts as failed.
_PATIENCE = 120.0
_PAUSE = 0.05


class UpError(Exception):
    """Why no cluster was made, for the person who asked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `knarr up`."""
    parser.add_argument("--name", default=clusters.DEFAULT_NAME, help="name of the cluster; several can run at once")
    parser.add_argument("--api-only", action="store_true", help="control plane without a node; needs no root")
    parser.add_argument("--foreground", action="store_true", help="stay, and end the cluster's processes on Ctrl-C")
    parser.add_argument("--data-dir", type=Path, help="where the cluster's data lies")
    parser.add_argument("--kubeconfig", type=Path, help="kubeconfig that gets the cluster's context (default: yours)")
    parser.add_argument(
        "--port", type=int, help=f"API port on 127.0.0.1; 0 picks a free one (default {API_PORT}, or free if taken)"
    )
    parser.add_argument("--cluster-cidr", default="10.42.0.0/16", help="addresses of pods")
    parser.add_argument("--service-cidr", default="10.43.0.0/16", help="addresses of Services")
    parser.add_argument("--uplink", action="store_true", help="let node and pods reach the network outside")
    parser.add_argument("--wait", type=float, default=_PATIENCE, help="seconds to wait until the cluster is ready")


def run(arguments: argparse.Namespace) -> int:
    """Make the cluster; returns the exit code."""
    try:
        _check(arguments)
        listener = _listen(arguments.port)
        cluster = _prepare(arguments, listener)
    except (UpError, nodens.NetworkError, OSError) as error:
        print(f"knarr up: {error}", file=sys.stderr)
        return 1
    if arguments.foreground:
        return _foreground(arguments, cluster, listener)
    _detach(cluster, listener)
    try:
        _await_ready(cluster, arguments.wait)
    except UpError as error:
        print(f"knarr up: {error}\nLogs: {cluster.log_dir}", file=sys.stderr)
        return 1
    _merge_kubeconfig(cluster)
    _greet(cluster)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    name = arguments.name
    if not clusters.valid_name(name):
        raise UpError(f"{name!r} is no cluster name: lower-case letters, digits and dashes, at most 32")
    for text in (arguments.cluster_cidr, arguments.service_cidr):
        try:
            ipaddress.IPv4Network(text)
        except ValueError as error:
            raise UpError(str(error)) from error
    known = clusters.load(name)
    if known and any(processes.alive(one) for one in (known.supervisor, known.server, known.agent)):
        raise UpError(f"cluster {name!r} runs already; `knarr status` shows it, `knarr down --name {name}` ends it")
    if arguments.api_only:
        if arguments.uplink:
            raise UpError("--uplink is for a node; --api-only has none")
        return
    if os.geteuid() != 0:
        raise UpError("a node needs root (try sudo, or --api-only for a control plane without one)")
    missing = [f"{program} (package {package})" for program, package in _PROGRAMS.items() if not shutil.which(program)]
    if missing:
        raise UpError("not installed: " + ", ".join(missing))


def _listen(port: int | None) -> socket.socket:
    """The API's socket on the host's loopback; the server inherits it, wherever it runs."""
    try:
        return socket.create_server(("127.0.0.1", API_PORT if port is None else port), backlog=1024)
    except OSError as error:
        if port is None:
            return socket.create_server(("127.0.0.1", 0), backlog=1024)
        raise UpError(f"port {port} on 127.0.0.1: {error.strerror}; --port 0 picks a free one") from error


def _prepare(arguments: argparse.Namespace, listener: socket.socket) -> Cluster:
    """Clear what a cluster of this name left when the machine or its supervisor died, and make the namespace."""
    old = clusters.load(arguments.name)
    if old is not None:
        teardown.purge(old)
    others = [cluster for cluster in clusters.load_all() if cluster.name != arguments.name]
    data_dir = (arguments.data_dir or clusters.default_data_dir(arguments.name)).absolute()
    for other in others:
        if Path(other.data_dir) == data_dir:
            raise UpError(f"{data_dir} belongs to cluster {other.name!r}")
    target = arguments.kubeconfig.absolute() if arguments.kubeconfig else ""
    cluster = Cluster(
        name=arguments.name,
        slot=clusters.free_slot(others, nodens.host_routes() if arguments.uplink else ()),
        data_dir=str(data_dir),
        port=listener.getsockname()[1],
        api_only=arguments.api_only,
        uplink=arguments.uplink,
        cluster_cidr=arguments.cluster_cidr,
        service_cidr=arguments.service_cidr,
        kubeconfig=str(target),
        forwarding_before=any(other.uplink for other in others) or nodens.forwarding(),
    )
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    cluster.log_dir.mkdir(exist_ok=True)
    # Left by an earlier run they would be taken for this one's.
    cluster.admin_kubeconfig.unlink(missing_ok=True)
    clusters.save(cluster)
    if not cluster.api_only:
        # A namespace that nobody wrote down is of a run that died early, or of a machine that restarted.
        nodens.remove(cluster, last_uplink=False)
        nodens.create(cluster)
    return cluster


def _detach(cluster: Cluster, listener: socket.socket) -> None:
    """Start the supervisor; it outlives us."""
    handle = listener.fileno()
    with (cluster.log_dir / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "knarr.cmd.supervisor", cluster.name, str(handle)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(handle,),
            start_new_session=True,
            cwd="/",
        )
    clusters.save(replace(cluster, supervisor=processes.identify(process.pid)))
    # It is meant to be left running.
    process.returncode = 0
    listener.close()


def _foreground(arguments: argparse.Namespace, cluster: Cluster, listener: socket.socket) -> int:
    from knarr.cmd.supervisor import supervise

    watcher = os.fork()
    if watcher == 0:
        # The waiting and greeting happen beside the supervisor, which must be the parent of server and agent alone.
        code = 0
        try:
            listener.close()
            _await_ready(cluster, arguments.wait)
            _merge_kubeconfig(cluster)
            _greet(cluster)
            sys.stdout.flush()
        except UpError as error:
            print(f"knarr up: {error}", file=sys.stderr, flush=True)
            code = 1
        os._exit(code)
    supervise(cluster, [listener.fileno()])
    return 0


def _await_ready(cluster: Cluster, patience: float) -> None:
    """Wait for /readyz and the node. Raises `UpError` with what is missing."""
    deadline = time.monotonic() + patience
    missing = "the server has not started"
    while time.monotonic() < deadline:
        current = clusters.load(cluster.name)
        if current and current.supervisor and not processes.alive(current.supervisor):
            raise UpError("the supervisor ended")
        missing = _missing(cluster)
        if not missing:
            return
        time.sleep(_PAUSE)
    raise UpError(f"not ready after {patience:.0f} s: {missing}")


def _missing(cluster: Cluster) -> str:
    """What the cluster lacks to be ready; empty when it is."""
    try:
        api = Api(cluster.admin_kubeconfig)
        status, body = api.get("/readyz")
        if status != 200:
            return f"/readyz says {body.decode(errors='replace').strip()[-200:]}"
        if cluster.api_only:
            return ""
        nodes = api.read("/api/v1/nodes")["items"]
    except Unreachable as error:
        return str(error)
    if not nodes:
        return "the node has not registered"
    return "" if all(is_ready(node) for node in nodes) else "the node is not Ready"


def is_ready(node: dict[str, object]) -> bool:
    """Whether a Node object has the condition Ready."""
    status = node.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions or ())


def _merge_kubeconfig(cluster: Cluster) -> None:
    """Give the person who asked a context of their own; a file named by them, or theirs."""
    from knarr.component_base import kubeconfig

    path, owner = kubeconfig.invoking_user(os.environ)
    target = Path(cluster.kubeconfig) if cluster.kubeconfig else path
    kubeconfig.merge(target, cluster.context, kubeconfig.load(cluster.admin_kubeconfig), owner)
    current = clusters.load(cluster.name) or cluster
    clusters.save(replace(current, kubeconfig=str(target)))


def _greet(cluster: Cluster) -> None:
    name = "" if cluster.name == clusters.DEFAULT_NAME else f" --name {cluster.name}"
    print(f"Cluster {cluster.name!r} is ready: https://127.0.0.1:{cluster.port}, kubectl context {cluster.context!r}.")
    print("\n  kubectl get nodes" if not cluster.api_only else "\n  kubectl get namespaces")
    if not cluster.api_only:
        print(f"  knarr images import IMAGE.tar{name}" if not cluster.uplink else "  kubectl create deployment …")
    print(f"  knarr status{name}\n  knarr down{name}")
