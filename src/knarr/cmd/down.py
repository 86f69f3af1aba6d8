"""`knarr down`: ends a cluster and leaves nothing of it behind."""

from __future__ import annotations

import argparse
import sys

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
    return max(end(cluster, keep_data=arguments.keep_data) for cluster in found)


def end(cluster: Cluster, *, keep_data: bool) -> int:
    """End one cluster; returns the exit code."""
    try:
        with teardown.taken_over(cluster):
            cluster = clusters.load(cluster.name) or cluster
            left = teardown.purge(cluster)
            if not left:
                left = teardown.forget_context(cluster)
                if not keep_data:
                    teardown.remove_data(cluster)
                teardown.forget(cluster.name)
    except TimeoutError as error:
        left = [str(error)]
    if left:
        print(f"knarr down: cluster {cluster.name!r} left behind: {', '.join(left)}", file=sys.stderr)
        return 1
    print(f"Cluster {cluster.name!r} is gone{', its data kept in ' + cluster.data_dir if keep_data else ''}.")
    return 0
