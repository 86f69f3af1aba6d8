"""Volumes as pods get them, mounted in earnest below a temporary folder."""

from __future__ import annotations

import asyncio
import base64
import os
import stat
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from knarr.api.resources import Resource
from knarr.apimachinery.errors import not_found
from knarr.apimachinery.types import Object
from knarr.component_base.clock import FakeClock
from knarr.component_base.tasks import Tasks
from knarr.kubelet.references import Reference, of_pod
from knarr.kubelet.tokens import Token
from knarr.kubelet.volumes import mounts
from knarr.kubelet.volumes.manager import MountFailure, VolumeManager

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts file systems"),
]

UID = "11111111-2222-3333-4444-555555555555"


class Objects:
    """`referenced.Referenced` in memory."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], Object] = {}
        self.pods: dict[str, frozenset[Reference]] = {}
        self.listeners: list[Callable[[Reference], None]] = []

    def add(self, pod: Object) -> None:
        self.pods[pod["metadata"]["uid"]] = of_pod(pod)

    def remove(self, uid: str) -> None:
        self.pods.pop(uid, None)

    def users(self, reference: Reference) -> frozenset[str]:
        return frozenset(uid for uid, references in self.pods.items() if reference in references)

    def listen(self, callback: Callable[[Reference], None]) -> None:
        self.listeners.append(callback)

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        if (resource.plural, name) not in self.stored:
            raise not_found(resource.singular, "", name)
        return self.stored[resource.plural, name]

    def change(self, resource: str, name: str, obj: Object) -> None:
        self.stored[resource, name] = obj
        for reference in {each for pod in self.pods.values() for each in pod if each.name == name}:
            for listener in self.listeners:
                listener(reference)


class Tokens:
    """`tokens.TokenManager` that counts; a token ages after 80 seconds."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.count = clock, 0

    async def get(self, pod: Object, audience: str = "", seconds: int = 3600) -> Token:
        self.count += 1
        now = self.clock.now()
        return Token(f"token{self.count} for {audience}", now + timedelta(100), now + timedelta(seconds=80))

    def forget(self, uid: str) -> None:
        pass


class Claims:
    """`claims.Claims` that knows one claim, bound to a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def resolve(self, pod: Object, volume: Object) -> Object:
        if "persistentVolumeClaim" in volume:
            return {"name": "pv", "local": {"path": str(self.folder)}}
        return volume


class Node:
    """A manager and what it stands on."""

    def __init__(self, root: Path) -> None:
        self.clock = FakeClock()
        self.objects, self.tokens = Objects(), Tokens(self.clock)
        self.failures: list[str] = []
        self.shared = root / "shared"
        self.shared.mkdir()
        self.root = root / "kubelet"
        self.manager = self.start()

    def start(self) -> VolumeManager:
        return VolumeManager(
            self.root,
            self.objects,
            self.tokens,
            Claims(self.shared),
            self.clock,
            allocatable=lambda: {"memory": "64Mi"},
            failed=lambda _pod, message: self.failures.append(message),
        )

    @property
    def mounted(self) -> list[str]:
        return mounts.mount_points(self.root)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    mounts.unmount_below(made.root)


def pod(*volumes: Object, security: Object | None = None) -> Object:
    used = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes]
    spec = {"containers": [{"name": "c", "volumeMounts": used}], "volumes": [*volumes, {"name": "idle", "nfs": {}}]}
    meta = {"name": "p", "namespace": "ns", "uid": UID, "labels": {"app": "a"}}
    return {"metadata": meta, "spec": {**spec, "securityContext": security or {}}}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - any change may be the awaited one
            await asyncio.sleep(0)


def run(node: Node, test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        tasks = Tasks()
        tasks.start(node.manager.run(), "volumes")
        try:
            await test()
        finally:
            await tasks.close()
            await node.manager.close()

    asyncio.run(main())


def test_volumes_lie_where_every_kubelet_has_them_and_all_go(node: Node) -> None:
    node.objects.stored["configmaps", "cm"] = {"data": {"k": "v"}}
    node.objects.stored["secrets", "s"] = {"data": {"k": encoded("hidden")}}
    sources = [{"serviceAccountToken": {"path": "token", "audience": "x"}}, {"configMap": {"name": "cm"}}]
    volumes = [
        {"name": "disk", "emptyDir": {}},
        {"name": "ram", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "cm", "configMap": {"name": "cm", "defaultMode": 0o444}},
        {"name": "secret", "secret": {"secretName": "s"}},
        {"name": "me", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "all", "projected": {"sources": sources, "defaultMode": 0o644}},
        {"name": "host", "hostPath": {"path": str(node.shared), "type": "Directory"}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "c"}},
    ]

    async def test() -> None:
        made = await node.manager.prepare(pod(*volumes))
        base = node.root / "pods" / UID / "volumes"
        assert {name: each.path.removeprefix(f"{base}/") for name, each in made.items()} == {
            "disk": "kubernetes.io~empty-dir/disk",
            "ram": "kubernetes.io~empty-dir/ram",
            "cm": "kubernetes.io~configmap/cm",
            "secret": "kubernetes.io~secret/secret",
            "me": "kubernetes.io~downward-api/me",
            "all": "kubernetes.io~projected/all",
            "host": str(node.shared),
            "claim": "kubernetes.io~local-volume/pv",
        }
        assert [name for name, each in made.items() if each.read_only] == ["cm", "secret", "me", "all"]
        read = {
            path: (base / path).read_text()
            for path in ("kubernetes.io~configmap/cm/k", "kubernetes.io~secret/secret/k")
        }
        assert list(read.values()) == ["v", "hidden"]
        assert (base / "kubernetes.io~downward-api/me/l").read_text() == 'app="a"'
        assert (base / "kubernetes.io~projected/all/token").read_text() == "token1 for x"
        assert mode(base / "kubernetes.io~configmap/cm/k") == 0o444
        assert mode(made["disk"].path) == 0o777
        assert mode(made["secret"].path) == 0o1777
        assert {Path(point).name for point in node.mounted} == {"ram", "secret", "me", "all", "pv"}
        space = os.statvfs(made["ram"].path)
        assert space.f_blocks * space.f_frsize == 2**20
        (Path(made["claim"].path) / "kept").write_text("data")
        assert node.manager.found() == {UID}
        await node.manager.teardown(UID)
        assert node.mounted == []
        assert node.manager.found() == frozenset()
        assert (node.shared / "kept").read_text() == "data"

    run(node, test)


def test_a_restarted_agent_goes_on_with_what_is_there(node: Node) -> None:
    node.objects.stored["secrets", "s"] = {"data": {"k": encoded("1")}}
    running = pod(
        {"name": "disk", "emptyDir": {}},
        {"name": "ram", "emptyDir": {"medium": "Memory"}},
        {"name": "secret", "secret": {"secretName": "s"}},
    )

    async def test() -> None:
        made = await node.manager.prepare(running)
        for name in ("disk", "ram"):
            (Path(made[name].path) / "kept").write_text(name)
        before = node.mounted
        node.manager = node.start()
        again = await node.manager.prepare(running)
        assert again == made
        assert node.mounted == before
        assert [(Path(again[name].path) / "kept").read_text() for name in ("disk", "ram")] == ["disk", "ram"]
        node.manager = node.start()
        await node.manager.teardown(UID)
        assert node.mounted == []

    run(node, test)


def test_contents_follow_their_sources(node: Node) -> None:
    node.objects.stored["configmaps", "cm"] = {"data": {"a": "1"}}
    sources = [{"serviceAccountToken": {"path": "token"}}, {"secret": {"name": "later", "optional": True}}]
    followed = pod({"name": "cm", "configMap": {"name": "cm"}}, {"name": "all", "projected": {"sources": sources}})

    async def test() -> None:
        made = await node.manager.prepare(followed)
        config, projected = Path(made["cm"].path), Path(made["all"].path)
        assert sorted(path.name for path in projected.iterdir() if path.name[0] != ".") == ["token"]
        node.objects.change("configmaps", "cm", {"data": {"b": "2"}})
        await until(lambda: (config / "b").exists() and not (config / "a").is_symlink())
        node.objects.change("secrets", "later", {"data": {"k": encoded("3")}})
        await until(lambda: (projected / "k").exists())
        before = (projected / "token").read_text()
        node.clock.advance(79)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (projected / "token").read_text() == before
        node.clock.advance(2)
        await until(lambda: (projected / "token").read_text() != before)

    run(node, test)


def test_a_refresh_that_fails_keeps_the_files_and_is_tried_again(node: Node) -> None:
    items = [{"key": "a", "path": "a"}]
    node.objects.stored["configmaps", "cm"] = {"data": {"a": "1"}}

    async def test() -> None:
        made = await node.manager.prepare(pod({"name": "cm", "configMap": {"name": "cm", "items": items}}))
        node.objects.change("configmaps", "cm", {"data": {}})
        await until(lambda: bool(node.failures))
        expected = 'MountVolume.SetUp failed for volume "cm" : configmap references non-existent config key: a'
        assert node.failures == [expected]
        assert (Path(made["cm"].path) / "a").read_text() == "1"
        node.objects.stored["configmaps", "cm"] = {"data": {"a": "2"}}
        node.clock.advance(0.5)
        await until(lambda: (Path(made["cm"].path) / "a").read_text() == "2")

    run(node, test)


def test_all_that_cannot_be_mounted_is_told_at_once(node: Node) -> None:
    trust = {"sources": [{"clusterTrustBundle": {"name": "x", "path": "ca"}}]}
    volumes = [
        {"name": "a", "configMap": {"name": "none"}},
        {"name": "b", "hostPath": {"path": "/dev/null", "type": "Directory"}},
        {"name": "c", "projected": trust},
        {"name": "d", "nfs": {"server": "x", "path": "/"}},
        {"name": "ok", "emptyDir": {}},
    ]

    async def test() -> None:
        with pytest.raises(MountFailure) as caught:
            await node.manager.prepare(pod(*volumes))
        assert caught.value.messages == tuple(
            f'MountVolume.SetUp failed for volume "{name}" : {text}'
            for name, text in [
                ("a", 'configmap "none" not found'),
                ("b", "hostPath type check failed: /dev/null is not a directory"),
                ("c", "projected volume source clusterTrustBundle is not supported by this node"),
                ("d", "no volume plugin matched: nfs"),
            ]
        )
        await node.manager.teardown(UID)
        assert node.mounted == []

    run(node, test)


def test_files_belong_to_the_pods_group_and_tokens_to_its_user(node: Node) -> None:
    node.objects.stored["secrets", "s"] = {"data": {"k": encoded("1")}}
    sources = [{"serviceAccountToken": {"path": "token"}}]
    owned = pod(
        {"name": "disk", "emptyDir": {}},
        {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}},
        {"name": "t", "projected": {"sources": sources}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "c"}},
        security={"fsGroup": 4321, "runAsUser": 1234},
    )
    (node.shared / "file").write_text("x")
    (node.shared / "link").symlink_to("/etc/hostname")
    before = os.stat("/etc/hostname")

    async def test() -> None:
        made = {name: Path(each.path) for name, each in (await node.manager.prepare(owned)).items()}
        assert (made["disk"].stat().st_gid, mode(made["disk"])) == (4321, 0o2777)
        assert ((made["s"] / "k").stat().st_gid, mode(made["s"] / "k")) == (4321, 0o440)
        token = (made["t"] / "token").stat()
        assert (token.st_uid, token.st_gid, mode(made["t"] / "token")) == (1234, 4321, 0o640)
        assert ((node.shared / "file").stat().st_gid, mode(node.shared / "file")) == (4321, 0o664)
        assert os.lstat(node.shared / "link").st_gid == 4321
        assert (os.stat("/etc/hostname").st_gid, os.stat("/etc/hostname").st_mode) == (before.st_gid, before.st_mode)

    run(node, test)


def test_parts_of_volumes_are_bound_where_they_were_checked(node: Node) -> None:
    node.objects.stored["configmaps", "cm"] = {"data": {"k": "v"}}
    parts = pod({"name": "disk", "emptyDir": {}}, {"name": "cm", "configMap": {"name": "cm"}})

    async def test() -> None:
        made = await node.manager.prepare(parts)
        folder = node.manager.prepare_subpath(parts, "c", 0, made["disk"], "sub/deep")
        assert folder == str(node.root / "pods" / UID / "volume-subpaths/disk/c/0")
        (Path(folder) / "x").write_text("1")
        assert (Path(made["disk"].path) / "sub/deep/x").read_text() == "1"
        file = node.manager.prepare_subpath(parts, "c", 1, made["cm"], "k")
        assert Path(file).read_text() == "v"
        # The same again stays mounted; a ConfigMap that was written anew is bound anew.
        count = len(node.mounted)
        node.manager.prepare_subpath(parts, "c", 1, made["cm"], "k")
        node.objects.stored["configmaps", "cm"] = {"data": {"k": "w"}}
        await node.manager.refresh(parts)
        assert Path(file).read_text() == "v"
        node.manager.prepare_subpath(parts, "c", 1, made["cm"], "k")
        assert Path(file).read_text() == "w"
        assert len(node.mounted) == count
        await node.manager.teardown(UID)
        assert node.mounted == []

    run(node, test)
