from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from knarr.api.resources import Resource
from knarr.apimachinery.errors import not_found
from knarr.apimachinery.types import Object
from knarr.component_base.clock import FakeClock
from knarr.cri.fake import FakeRuntime
from knarr.cri.runtime import CriError
from knarr.kubelet.images import ImageFault, ImagePuller, Note, back_off, duration
from knarr.kubelet.pull_records import PullRecords
from knarr.wire.messages import Message


class Objects:
    def __init__(self) -> None:
        self.secrets: dict[str, Object] = {}

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        if name not in self.secrets:
            raise not_found("secret", "", name)
        return self.secrets[name]

    def add(self, name: str, where: str, user: str) -> None:
        text = json.dumps({"auths": {where: {"username": user, "password": "p"}}})
        data = {".dockerconfigjson": base64.b64encode(text.encode()).decode()}
        self.secrets[name] = {
            "metadata": {"name": name, "uid": f"uid-{name}"},
            "type": "kubernetes.io/dockerconfigjson",
            "data": data,
        }


class Registry(FakeRuntime):
    """A runtime whose pulls wait for `go`, and that lets in `users` only, if it has any."""

    def __init__(self, clock: FakeClock, available: list[str]) -> None:
        super().__init__(clock, available)
        self.go = asyncio.Event()
        self.go.set()
        self.users: set[str] = set()
        self.tried: list[str] = []
        self.cancelled = 0

    async def pull_image(self, image: str, auth: Message | None = None, sandbox: Message | None = None) -> str:
        user = auth["username"] if auth else ""
        self.tried.append(user)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.users and user not in self.users:
            raise CriError("Unknown", f"{user or 'nobody'} is not let in")
        return await super().pull_image(image, auth, sandbox)


class Bench:
    def __init__(self, available: list[str], configs: list[Path]) -> None:
        self.clock = FakeClock()
        self.runtime = Registry(self.clock, available)
        self.objects = Objects()
        self.puller = ImagePuller(self.runtime, self.objects, self.clock, configs)
        self.notes: list[Note] = []

    async def ensure(self, image: str, policy: str = "", secrets: tuple[str, ...] = ()) -> str:
        pod = {
            "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
            "spec": {"imagePullSecrets": [{"name": name} for name in secrets]},
        }
        return await self.puller.ensure(pod, {"image": image, "imagePullPolicy": policy}, self.notes.append)

    @property
    def reasons(self) -> list[str]:
        return [note.reason for note in self.notes]


def run(test: Callable[[Bench], Coroutine[Any, Any, None]], *available: str, configs: tuple[Path, ...] = ()) -> None:
    async def main() -> None:
        bench = Bench(list(available), list(configs))
        await test(bench)
        await bench.puller.close()

    asyncio.run(main())


def test_policies() -> None:
    async def test(bench: Bench) -> None:
        with pytest.raises(ImageFault) as caught:
            await bench.ensure("app:1", "Never")
        text = 'Container image "app:1" is not present with pull policy of Never'
        assert (caught.value.reason, caught.value.message) == ("ErrImageNeverPull", text)
        assert bench.notes[-1] == Note("Warning", "Failed", "Error: ErrImageNeverPull")
        reference = await bench.ensure("app:1")
        assert reference.startswith("sha256:")
        assert await bench.ensure("app:1", "Never") == reference
        assert await bench.ensure("app:1", "IfNotPresent") == reference
        assert len(bench.runtime.tried) == 1
        assert await bench.ensure("app:1", "Always") == reference
        await bench.ensure("app")  # the tag latest is asked for each time
        await bench.ensure("app")
        assert len(bench.runtime.tried) == 4
        texts = [note.message for note in bench.notes]
        assert 'Container image "app:1" already present on machine and can be accessed by the pod' in texts
        assert 'Successfully pulled image "app:1" in 0s (0s including waiting). Image size: 1000 bytes.' in texts

    run(test, "app:1", "app")


def test_failures_are_told_as_the_runtime_words_them() -> None:
    async def test(bench: Bench) -> None:
        with pytest.raises(ImageFault) as caught:
            await bench.ensure("none:1")
        words = 'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/none:1"'
        assert caught.value.reason == "ErrImagePull"
        assert caught.value.message.startswith(words)
        assert bench.reasons == ["Pulling", "Failed", "Failed"]
        assert bench.notes[1].message.startswith(f'Failed to pull image "none:1": {words}')
        assert back_off("none:1", caught.value).message.startswith(
            f'Back-off pulling image "none:1": ErrImagePull: {words}'
        )
        bench.runtime.fail["pull_image"] = [CriError("Unknown", "RegistryUnavailable: no route")]
        with pytest.raises(ImageFault) as caught:
            await bench.ensure("none:1")
        text = "image pull failed for none:1 because the registry is unavailable: no route"
        assert (caught.value.reason, caught.value.message) == ("RegistryUnavailable", text)

    run(test)


def test_a_name_that_is_none_is_not_asked_for() -> None:
    async def test(bench: Bench) -> None:
        with pytest.raises(ImageFault) as caught:
            await bench.ensure("Nginx:1")
        assert caught.value.reason == "InvalidImageName"
        assert bench.reasons == ["InspectFailed", "Failed"]
        assert bench.runtime.tried == []

    run(test)


def test_credentials_are_tried_in_turn_the_pods_before_the_nodes(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"auths": {"x.io": {"username": "node", "password": "p"}}}))

    async def test(bench: Bench) -> None:
        bench.objects.add("one", "x.io", "short")
        bench.objects.add("two", "x.io/team", "long")
        bench.runtime.users = {"node"}
        await bench.ensure("x.io/team/app:1", secrets=("one", "absent", "two"))
        assert bench.runtime.tried == ["long", "short", "node"]
        text = "Unable to retrieve some image pull secrets (absent); attempting to pull the image may not succeed."
        assert Note("Warning", "FailedToRetrieveImagePullSecret", text) in bench.notes
        bench.runtime.users = {"somebody"}
        with pytest.raises(ImageFault, match=r"\[long is not let in, short is not let in, node is not let in\]"):
            await bench.ensure("x.io/team/app:1", "Always", secrets=("one", "two"))
        with pytest.raises(ImageFault, match="nobody is not let in"):
            await bench.ensure("y.io/app:1")

    run(test, "x.io/team/app:1", configs=(config, tmp_path / "absent.json"))


def test_an_image_pulled_with_credentials_is_for_those_who_have_them() -> None:
    async def test(bench: Bench) -> None:
        bench.objects.add("one", "x.io", "a")
        bench.objects.add("other", "x.io", "b")
        bench.runtime.users = {"a"}
        await bench.ensure("x.io/app:1", "IfNotPresent", ("one",))
        await bench.ensure("x.io/app:1", "IfNotPresent", ("one",))
        assert bench.runtime.tried == ["a"]
        with pytest.raises(ImageFault, match="does not have the proper credentials"):
            await bench.ensure("x.io/app:1", "Never", ("other",))
        with pytest.raises(ImageFault, match="nobody is not let in"):
            await bench.ensure("x.io/app:1", "IfNotPresent")
        bench.objects.add("one", "x.io", "renewed")  # the same secret still stands for who pulled
        await bench.ensure("x.io/app:1", "Never", ("one",))
        bench.runtime.users = {"a", "b"}
        await bench.ensure("x.io/app:1", "IfNotPresent", ("other",))
        await bench.ensure("x.io/app:1", "Never", ("other",))
        bench.runtime.users = set()
        await bench.ensure("x.io/app:1", "Always")
        assert bench.runtime.tried == ["a", "", "b", ""]
        await bench.ensure("x.io/app:1", "Never")  # whoever pulled as nobody opened it to all

    run(test, "x.io/app:1")


def test_records_of_pulls_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "pulled.json"
    records = PullRecords(path)
    records.pulled("sha256:1", "x.io/app", ("k",))
    records.pulled("sha256:2", "x.io/app", ())
    assert path.stat().st_mode & 0o777 == 0o600
    again = PullRecords(path)
    assert not again.open_to_all("sha256:1", "x.io/app")
    assert again.allows("sha256:1", "x.io/app", ["other", "k"])
    assert not again.allows("sha256:1", "y.io/app", ["k"])
    assert again.open_to_all("sha256:2", "x.io/app")
    assert again.open_to_all("sha256:3", "x.io/app")
    again.forget("sha256:1")
    assert PullRecords(path).open_to_all("sha256:1", "x.io/app")


def test_one_pull_for_all_who_ask_until_the_last_gives_up() -> None:
    async def test(bench: Bench) -> None:
        bench.runtime.go.clear()
        asking = [asyncio.ensure_future(bench.ensure("app:1")) for _ in range(3)]
        other = asyncio.ensure_future(bench.ensure("other:1"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(bench.runtime.tried) == 2
        asking[0].cancel()
        other.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert bench.runtime.cancelled == 1
        bench.runtime.go.set()
        first, second = await asyncio.gather(*asking[1:])
        assert first == second
        assert len(bench.runtime.tried) == 2
        await bench.ensure("app:1", "Always")
        assert len(bench.runtime.tried) == 3

    run(test, "app:1", "other:1")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.3404, "340ms"), (1, "1s"), (1.25, "1.25s"), (62.5, "1m2.5s"), (3600, "1h0m0s"), (0.0004, "0s")],
)
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text
