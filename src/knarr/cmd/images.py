"""`knarr images`: brings images into a cluster without a registry, lists and removes them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from knarr.cmd import clusters
from knarr.cmd.node_paths import NodePaths

if TYPE_CHECKING:
    from knarr.cri.containerd import CriRuntime
    from knarr.cri.images import ImageStore

    _Command: TypeAlias = Callable[[argparse.Namespace, ImageStore, CriRuntime], Awaitable[int]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `knarr images`."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default=clusters.DEFAULT_NAME, help="name of the cluster")
    common.add_argument("--data-dir", type=Path, help="data directory of a node that `knarr up` did not make")
    commands = parser.add_subparsers(dest="images_command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "import", parents=[common], help="import archives (docker save, OCI layout; .tar, .tar.gz)"
    )
    one.add_argument("archives", nargs="+", type=Path, metavar="FILE")
    commands.add_parser("ls", parents=[common], help="list images")
    one = commands.add_parser("rm", parents=[common], help="remove images")
    one.add_argument("images", nargs="+", metavar="IMAGE")


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    data_dir = arguments.data_dir or _data_dir(arguments.name)
    if data_dir is None:
        return 1
    import asyncio

    from knarr.cri.image_archive import ArchiveError
    from knarr.cri.image_names import InvalidReference
    from knarr.cri.runtime import CriError

    try:
        return asyncio.run(_run(arguments, NodePaths(data_dir)))
    except (ArchiveError, InvalidReference, OSError, CriError) as error:
        print(f"knarr images: {error}", file=sys.stderr)
        return 1


def _data_dir(name: str) -> Path | None:
    cluster = clusters.load(name)
    if cluster is None:
        print(f"knarr images: no cluster {name!r}; `knarr up --name {name}` makes one", file=sys.stderr)
    elif cluster.api_only:
        print(f"knarr images: cluster {name!r} has no node", file=sys.stderr)
    else:
        return Path(cluster.data_dir)
    return None


async def _run(arguments: argparse.Namespace, paths: NodePaths) -> int:
    from knarr.component_base.clock import RealClock
    from knarr.cri.containerd import CriRuntime
    from knarr.cri.images import ImageStore, ImportedImages

    socket = paths.containerd().socket
    if not socket.exists():
        print(f"knarr images: the node's containerd does not run: no {socket}", file=sys.stderr)
        return 1
    store = ImageStore(str(socket), ImportedImages(paths.imported_images), RealClock())
    runtime = CriRuntime(str(socket))
    try:
        return await _COMMANDS[arguments.images_command](arguments, store, runtime)
    finally:
        await store.close()
        await runtime.close()


async def _import(arguments: argparse.Namespace, store: ImageStore, runtime: CriRuntime) -> int:
    code = 0
    for archive in arguments.archives:
        names = await store.import_archive(archive)
        for name in names:
            print(name)
        if not names:
            print(f"knarr images: {archive} names no image", file=sys.stderr)
            code = 1
    return code


async def _list(arguments: argparse.Namespace, store: ImageStore, runtime: CriRuntime) -> int:
    rows = [("IMAGE", "TAG", "IMAGE ID", "SIZE")]
    for image in await runtime.list_images():
        identity = image["id"].removeprefix("sha256:")[:13]
        for name in image["repo_tags"] or [_untagged(image["repo_digests"])]:
            repository, _, tag = name.rpartition(":")
            rows.append((repository, tag, identity, size(int(image["size"]))))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in [rows[0], *sorted(rows[1:])]:
        print("   ".join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)) + f"   {row[3]}")
    return 0


async def _remove(arguments: argparse.Namespace, store: ImageStore, runtime: CriRuntime) -> int:
    code = 0
    for image in arguments.images:
        if await store.remove(image):
            print(image)
        else:
            print(f"knarr images: no image {image}", file=sys.stderr)
            code = 1
    return code


def _untagged(digests: list[str]) -> str:
    return f"{digests[0].partition('@')[0] if digests else '<none>'}:<none>"


def size(count: int) -> str:
    """Bytes for people: `12.3MB`."""
    amount, units = float(count), ("B", "kB", "MB", "GB")
    for unit in units:
        if amount < 1000 or unit == units[-1]:
            return f"{amount:.3g}{unit}"
        amount /= 1000
    raise AssertionError


_COMMANDS: Mapping[str, _Command] = {"import": _import, "ls": _list, "rm": _remove}
