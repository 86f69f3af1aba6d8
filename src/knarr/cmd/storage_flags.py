"""Options of the built-in storage class `local-path`, as K3s calls them."""

from __future__ import annotations

import argparse
from pathlib import Path

#: What `--disable` calls it.
PACKAGE = "local-storage"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add = parser.add_argument_group("storage").add_argument
    add(
        "--default-local-storage-path",
        type=Path,
        help="folder of each node for volumes of the class local-path (default: storage in the data directory)",
    )
    add("--local-storage-image", default="busybox", help="image of the pods that make and remove their folders")


def folder(arguments: argparse.Namespace) -> str:
    """Where volumes lie on each node; empty where the class is disabled."""
    if PACKAGE in arguments.disable:
        return ""
    given: Path | None = arguments.default_local_storage_path
    return str((given or Path(arguments.data_dir) / "storage").absolute())
