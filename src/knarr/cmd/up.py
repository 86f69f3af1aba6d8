"""`knarr up`: a whole cluster on this machine, in a network namespace of its own."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

from knarr.cmd import clusters, datastore, nodens, preflight
from knarr.cmd.clusters import Cluster
from knarr.cmd.ends import Ends
from knarr.cmd.making import API_PORT, Interrupted, Making, claim, kubeconfig_of
from knarr.cmd.preflight import UpError
from knarr.cmd.readiness import await_ready, last_words

#: Seconds until a cluster that is not ready counts as failed.
_PATIENCE = 120.0
#: Exit code of a command that a signal ended, as shells have it.
_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `knarr up`."""
    parser.add_argument("--name", default=clusters.DEFAULT_NAME, help="name of the cluster; several can run at once")
    parser.add_argument("--api-only", action="store_true", help="control plane without a node; needs no root")
    parser.add_argument("--foreground", action="store_true", help="stay, and end the cluster on Ctrl-C; its data stays")
    parser.add_argument("--data-dir", type=Path, help="where the cluster's data lies")
    parser.add_argument("--kubeconfig", type=Path, help="kubeconfig that gets the cluster's context (default: yours)")
    parser.add_argument(
        "--port", type=int, help=f"API port on 127.0.0.1; 0 picks a free one (default {API_PORT}, or free if taken)"
    )
    parser.add_argument("--cluster-cidr", default="10.42.0.0/16", help="addresses of pods")
    parser.add_argument("--service-cidr", default="10.43.0.0/16", help="addresses of Services")
    datastore.add_location(parser)
    parser.add_argument("--secrets-encryption", action="store_true", help="encrypt Secrets in the datastore")
    parser.add_argument(
        "--server-arg",
        action="append",
        metavar="--FLAG=VALUE",
        help="a flag of `knarr server`, for this cluster's; may be repeated",
    )
    parser.add_argument("--uplink", action="store_true", help="let node and pods reach the network outside")
    parser.add_argument("--wait", type=float, default=_PATIENCE, help="seconds to wait until the cluster is ready")


def run(arguments: argparse.Namespace) -> int:
    """Make the cluster; returns the exit code. What is not finished is taken back."""
    ends = Ends()
    try:
        preflight.check(arguments)
        making = Making(arguments, claim(arguments.name), ends)
    except UpError as error:
        return _fail(error)
    try:
        cluster = making.prepare()
        return (_foreground if arguments.foreground else _background)(arguments, making, cluster)
    except Interrupted:
        _take_back(making, keep=False)
        return _fail("interrupted", _INTERRUPTED)
    except (UpError, nodens.NetworkError, OSError) as error:
        _take_back(making, keep=False)
        return _fail(error)


def _background(arguments: argparse.Namespace, making: Making, cluster: Cluster) -> int:
    making.launch(cluster)
    try:
        await_ready(cluster, arguments.wait, making.check)
        _merge_kubeconfig(arguments, cluster)
    except UpError as error:
        # It runs and may get there: nothing is taken away from who wants to look.
        name = cluster.name
        words = "\n".join(last_words(cluster))
        return _fail(f"{error}\n{words}\nLogs: {cluster.log_dir}. It runs on; `knarr down --name {name}` ends it")
    try:
        _greet(cluster)
    except BrokenPipeError:
        # Nobody reads on; the cluster is there all the same. What is left to be written goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _foreground(arguments: argparse.Namespace, making: Making, cluster: Cluster) -> int:
    """Supervise, and beside that wait until the cluster is ready and say so."""
    ready = threading.Event()

    def greet() -> None:
        try:
            await_ready(cluster, arguments.wait, making.check)
            _merge_kubeconfig(arguments, cluster)
        except Interrupted:
            return
        except UpError as error:
            _fail(error)
            return
        ready.set()
        _greet(cluster)

    greeting = threading.Thread(target=greet, name="greeting")
    greeting.start()
    making.supervise(cluster)
    greeting.join()
    if not ready.is_set():
        raise Interrupted
    return _take_back(making, keep=True)


def _take_back(making: Making, *, keep: bool) -> int:
    try:
        left = making.take_back(keep=keep)
    except OSError as error:
        left = [str(error)]
    return _fail(f"left behind: {', '.join(left)}") if left else 0


def _fail(error: object, code: int = 1) -> int:
    print(f"knarr up: {error}", file=sys.stderr, flush=True)
    return code


def _merge_kubeconfig(arguments: argparse.Namespace, cluster: Cluster) -> None:
    """Give the person who asked a context of their own. Raises `UpError`."""
    from knarr.component_base import kubeconfig

    path, owner = kubeconfig_of(arguments, os.environ)
    try:
        kubeconfig.merge(path, cluster.context, kubeconfig.load(cluster.admin_kubeconfig), owner)
    except (OSError, ValueError) as error:
        raise UpError(f"no context {cluster.context!r} added to {path}: {error}") from error


def _greet(cluster: Cluster) -> None:
    name = "" if cluster.name == clusters.DEFAULT_NAME else f" --name {cluster.name}"
    print(f"Cluster {cluster.name!r} is ready: https://127.0.0.1:{cluster.port}, kubectl context {cluster.context!r}.")
    print("\n  kubectl get nodes" if not cluster.api_only else "\n  kubectl get namespaces")
    if not cluster.api_only:
        print(f"  knarr images import IMAGE.tar{name}" if not cluster.uplink else "  kubectl create deployment …")
    print(f"  knarr status{name}\n  knarr down{name}", flush=True)
