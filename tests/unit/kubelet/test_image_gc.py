from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from knarr.component_base.clock import FakeClock
from knarr.cri.fake import FakeRuntime
from knarr.kubelet.image_gc import Disk, ImageCollector, Policy, Record, Shortage, excess, removable
from knarr.wire.messages import Message

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAUSE = "registry.k8s.io/pause:3.10.1"


def image(name: str, *, pinned: bool = False) -> Message:
    return {"id": f"sha256:{name}", "repo_tags": [name], "repo_digests": [], "size": 10, "pinned": pinned}


def test_the_one_out_of_use_for_longest_goes_first() -> None:
    hour = timedelta(hours=1)
    records = {
        "sha256:used": Record(NOW - 9 * hour, NOW),
        "sha256:lately": Record(NOW - 9 * hour, NOW - hour),
        "sha256:long-ago": Record(NOW - hour, NOW - hour / 2),
        "sha256:never": Record(NOW - hour),
        "sha256:young": Record(NOW - timedelta(minutes=1)),
        "sha256:pinned": Record(NOW - 9 * hour),
        f"sha256:{PAUSE}": Record(NOW - 9 * hour),
    }
    images = [image(key.removeprefix("sha256:"), pinned="pinned" in key) for key in records]
    gone = removable(images, records, {PAUSE}, NOW, Policy())
    assert [each["repo_tags"][0] for each in gone] == ["never", "lately", "long-ago"]


@given(st.integers(1, 10**12), st.integers(0, 100))
def test_what_is_freed_brings_the_disk_to_the_low_mark(capacity: int, free_percent: int) -> None:
    disk = Disk(capacity, capacity * free_percent // 100)
    wanted = excess(disk, Policy())
    if disk.used_percent < 85:
        assert wanted == 0
    else:
        assert disk.available + wanted == capacity * 20 // 100


def test_images_go_while_the_disk_is_full_and_what_is_used_stays() -> None:
    async def main() -> None:
        clock = FakeClock()
        runtime = FakeRuntime(clock, ["a:1", "b:1", "c:1", PAUSE])
        for name in ("a:1", "b:1", "c:1", PAUSE):
            await runtime.pull_image(name)
        sandbox = {"metadata": {"name": "s", "uid": "u", "namespace": "ns", "attempt": 0}}
        sandbox_id = await runtime.run_sandbox(sandbox)
        config = {"metadata": {"name": "c"}, "image": {"image": "b:1"}}
        container = await runtime.create_container(sandbox_id, config, sandbox)
        told: list[Shortage] = []
        disks = [Disk(10_000, 100), Disk(10_000, 1_000), Disk(10_000, 5_000), Disk(0, 0)]
        collector = ImageCollector(runtime, clock, lambda: {PAUSE}, told.append, disk=lambda _path: disks.pop(0))
        assert await collector.collect() == 0  # all too young
        clock.advance(300)
        assert await collector.collect() == 1000  # one is enough
        assert len(runtime.images) == 3
        assert await collector.collect() == 0
        assert await collector.free(10**6) == 1000
        assert {name.split("/")[-1] for name in runtime.images} == {"b:1", "pause:3.10.1"}
        await runtime.remove_container(container)
        clock.advance(1)
        assert await collector.free(10**6) == 1000
        assert await collector.collect() == 0
        assert [each.reason for each in told] == ["FreeDiskSpaceFailed", "InvalidDiskCapacity"]
        assert "(99.0% of 0.0 GiB used)" in told[0].message

    asyncio.run(main())
