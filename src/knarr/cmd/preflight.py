"""What must hold before `knarr up` makes anything."""

from __future__ import annotations

import argparse
import ipaddress
import os
import shutil

from knarr.cmd import clusters, datastore
from knarr.cri import programs

_PROGRAMS = {"ip": "iproute2", "nsenter": "util-linux", "nft": "nftables", "containerd": "containerd", "runc": "runc"}


class UpError(Exception):
    """Why no cluster was made, for the person who asked."""


def check(arguments: argparse.Namespace) -> None:
    """Raises `UpError` for options that do not fit and for what the machine lacks."""
    if not clusters.valid_name(arguments.name):
        raise UpError(f"{arguments.name!r} is no cluster name: lower-case letters, digits and dashes, at most 32")
    for text in (arguments.cluster_cidr, arguments.service_cidr):
        try:
            ipaddress.IPv4Network(text)
        except ValueError as error:
            raise UpError(str(error)) from error
    try:
        datastore.check_location(arguments)
    except ValueError as error:
        raise UpError(str(error)) from error
    if arguments.port is not None and not 0 <= arguments.port <= 65535:
        raise UpError(f"--port {arguments.port} is no port: 0 to 65535")
    if arguments.api_only and arguments.uplink:
        raise UpError("--uplink is for a node; --api-only has none")
    if not arguments.api_only:
        _check_node()


def _check_node() -> None:
    if os.geteuid() != 0:
        raise UpError("a node needs root (try sudo, or --api-only for a control plane without one)")
    missing = [f"{program} (package {package})" for program, package in _PROGRAMS.items() if not _find(program)]
    if missing:
        raise UpError("not installed: " + ", ".join(missing))
    try:
        programs.find_cni_plugins()
    except programs.MissingProgram as error:
        raise UpError(str(error)) from error


def _find(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path=programs.SBIN)
