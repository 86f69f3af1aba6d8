"""Images of a node with a containerd of its own: imported, listed, pulled by policy, removed."""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.cmd import images
from knarr.cmd.node_paths import NodePaths
from knarr.component_base.clock import RealClock
from knarr.cri.containerd import CriRuntime
from knarr.cri.containerd_process import ContainerdProcess
from knarr.cri.image_builder import Recipe, build
from knarr.cri.images import ImportedImages
from knarr.cri.registry import EmbeddedRegistry
from knarr.kubelet.image_gc import Disk, ImageCollector, Policy, Shortage
from knarr.kubelet.images import ImageFault, ImagePuller, Note

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: runs containerd"),
    pytest.mark.skipif(shutil.which("containerd") is None, reason="containerd is not installed"),
]


@pytest.fixture
def paths() -> Iterator[NodePaths]:
    # A socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="knarr-images-"))
    yield NodePaths(folder)
    shutil.rmtree(folder)


def archive(folder: Path, name: str, *, zipped: bool = False) -> Path:
    data = build(Recipe(name, {"hello": (name.encode(), 0o644)}))
    path = folder / ("image.tar.gz" if zipped else "image.tar")
    path.write_bytes(gzip.compress(data) if zipped else data)
    return path


async def command(paths: NodePaths, *words: str) -> int:
    """`knarr images …`, in a thread as it has an event loop of its own."""
    parser = argparse.ArgumentParser()
    images.add_arguments(parser)
    arguments = parser.parse_args([words[0], "--data-dir", str(paths.data_dir), *words[1:]])
    return await asyncio.to_thread(images.run, arguments)


class NoSecrets:
    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        raise AssertionError(name)


async def ensure(puller: ImagePuller, image: str, policy: str) -> tuple[str, list[Note]]:
    notes: list[Note] = []
    pod = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {}}
    return await puller.ensure(pod, {"image": image, "imagePullPolicy": policy}, notes.append), notes


class Node:
    """A containerd with the embedded registry before every other."""

    def __init__(self, paths: NodePaths) -> None:
        options = paths.containerd()
        self.paths = paths
        self.clock = RealClock()
        self.process = ContainerdProcess(options, self.clock)
        self.runtime = CriRuntime(str(options.socket))
        self.registry = EmbeddedRegistry(ImportedImages(paths.imported_images), options.content)
        self.puller = ImagePuller(self.runtime, NoSecrets(), self.clock)

    async def __aenter__(self) -> Node:
        self.process.write_mirror(await self.registry.start())
        await self.process.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.puller.close()
        await self.runtime.close()
        await self.process.stop()
        await self.registry.close()


def test_images_of_a_node(paths: NodePaths, capsys: pytest.CaptureFixture[str]) -> None:
    async def life() -> None:
        async with Node(paths) as node:
            await import_and_list()
            await pull(node)
            await collect(node)
            await remove()

    async def import_and_list() -> None:
        assert await command(paths, "import", str(archive(paths.data_dir, "app:1"))) == 0
        assert await command(paths, "import", str(archive(paths.data_dir, "x.io/team/web:2", zipped=True))) == 0
        assert capsys.readouterr().out == "docker.io/library/app:1\nx.io/team/web:2\n"
        assert await command(paths, "ls") == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert [row[:2] for row in rows] == [["IMAGE", "TAG"], ["docker.io/library/app", "1"], ["x.io/team/web", "2"]]

    async def pull(node: Node) -> None:
        present, notes = await ensure(node.puller, "app:1", "IfNotPresent")
        assert [note.reason for note in notes] == ["Pulled"]
        assert present.startswith("sha256:")
        pulled, notes = await ensure(node.puller, "app:1", "Always")
        assert pulled == present
        assert [note.reason for note in notes] == ["Pulling", "Pulled"]
        with pytest.raises(ImageFault, match="^ErrImagePull: rpc error: code = .*failed to pull and unpack image"):
            await ensure(node.puller, "localhost:1/none:1", "Always")

    async def collect(node: Node) -> None:
        told: list[Shortage] = []
        policy = Policy(youngest=-Policy().youngest)
        kept = {"docker.io/library/app:1"}
        collector = ImageCollector(
            node.runtime, node.clock, lambda: kept, told.append, policy, lambda _path: Disk(100, 1)
        )
        assert await collector.collect() > 0
        assert [image["repo_tags"] for image in await node.runtime.list_images()] == [["docker.io/library/app:1"]]

    async def remove() -> None:
        assert await command(paths, "rm", "app:1", "none:1") == 1
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == ("app:1\n", "knarr images: no image none:1\n")
        assert ImportedImages(paths.imported_images).all().keys() == {"x.io/team/web:2"}
        (paths.data_dir / "no.tar").write_text("no tar")
        assert await command(paths, "import", str(paths.data_dir / "no.tar")) == 1
        told = capsys.readouterr().err
        assert "is no tar archive" in told and told.count("\n") == 1
        assert await command(paths, "import", str(paths.data_dir / "none.tar")) == 1
        assert capsys.readouterr().err.endswith("none.tar cannot be read: No such file or directory\n")

    asyncio.run(life())


def test_a_node_that_does_not_run(paths: NodePaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(command(paths, "ls")) == 1
    assert "the node's containerd does not run" in capsys.readouterr().err
