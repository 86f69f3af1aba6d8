"""`knarr down`: ends a cluster and leaves nothing of it behind."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from knarr.cmd import clusters, teardown
from knarr.cmd.clusters import Cluster


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `knarr down`."""
    parser.add_argument("--name", default=clusters.DEFAULT_NAME, help="name of the cluster")
    parser.add_argument("--all", action="store_true", help="every cluster of this machine")
    parser.add_argument("--keep-data", action="store_true", help="keep the data, so that `knarr up` goes on with it")


def run(arguments: argparse.Namespace) -> int:
    """End the cluster; returns the exit code. A cluster that is not there is no failure."""
    if arguments.all:
        found = clusters.load_all()
    else:
        one = clusters.load(arguments.name)
        found = [one] if one else []
    if not found:
        print("No cluster." if arguments.all else f"No cluster {arguments.name!r}.")
        return 0
    return max(_end(cluster, keep_data=arguments.keep_data) for cluster in found)


def _end(cluster: Cluster, *, keep_data: bool) -> int:
    teardown.stop(cluster)
    cluster = clusters.load(cluster.name) or cluster
    left = teardown.purge(cluster)
    if left:
        print(f"knarr down: cluster {cluster.name!r} left behind: {', '.join(left)}", file=sys.stderr)
        return 1
    _forget_context(cluster)
    if not keep_data:
        teardown.remove_data(cluster)
    clusters.forget(cluster)
    with contextlib.suppress(OSError):
        clusters.run_dir().rmdir()
    print(f"Cluster {cluster.name!r} is gone{', its data kept in ' + cluster.data_dir if keep_data else ''}.")
    return 0


def _forget_context(cluster: Cluster) -> None:
    from knarr.component_base import kubeconfig

    if cluster.kubeconfig:
        kubeconfig.remove(Path(cluster.kubeconfig), cluster.context)
