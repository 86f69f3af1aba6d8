"""Quotas hold however many writes come at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.component.apiserver.world import NAMESPACE, World, config_map, eventually, pod, running

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import MERGE_PATCH, Client
from knarr.component_base.tasks import Tasks
from knarr.storage.memory import MemoryStore


async def _quota(client: Client, name: str, **hard: str) -> Object:
    """A quota in force, as the controller would make it."""
    made = await client.create(registry.RESOURCEQUOTAS, {"metadata": {"name": name}, "spec": {"hard": hard}}, NAMESPACE)
    status = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    return await client.update(registry.RESOURCEQUOTAS, {**made, "status": status}, subresource="status")


async def _used(client: Client, name: str) -> dict[str, str]:
    found: dict[str, str] = (await client.get(registry.RESOURCEQUOTAS, name, NAMESPACE))["status"]["used"]
    return found


async def _creates(client: Client, count: int) -> list[str]:
    """Create pods at once; the messages of those that are refused."""
    answers = await asyncio.gather(
        *(client.create(registry.PODS, pod(f"p{number}"), NAMESPACE) for number in range(count)),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(error, StatusError) and error.code == 403 for error in refused)
    return [str(error) for error in refused]


def test_of_twenty_creates_at_once_five_fit_into_a_quota_of_five(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await _quota(client, "few", pods="5")
            await _quota(client, "many", pods="100")
            refused = await _creates(client, 20)
            assert len(refused) == 15
            assert all(
                text.endswith("exceeded quota: few, requested: pods=1, used: pods=5, limited: pods=5")
                for text in refused
            )
            assert len((await client.list(registry.PODS, NAMESPACE))["items"]) == 5
            assert await _used(client, "few") == {"pods": "5"}
            assert await _used(client, "many") == {"pods": "5"}

    asyncio.run(main())


def test_the_quota_holds_while_others_change_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await _quota(client, "q", pods="5")
            stop, tasks = asyncio.Event(), Tasks()

            async def meddle() -> None:
                number = 0
                while not stop.is_set():
                    number += 1
                    change = {"metadata": {"annotations": {"n": str(number)}}}
                    await client.patch(registry.RESOURCEQUOTAS, "q", change, NAMESPACE, content_type=MERGE_PATCH)

            meddling = tasks.start(meddle(), "meddle")
            answers = await asyncio.gather(
                *(client.create(registry.PODS, pod(f"p{number}"), NAMESPACE) for number in range(20)),
                return_exceptions=True,
            )
            stop.set()
            await meddling
            made = [answer for answer in answers if isinstance(answer, dict)]
            assert len(made) <= 5
            assert await _used(client, "q") == {"pods": str(len(made))}
            assert len((await client.list(registry.PODS, NAMESPACE))["items"]) == len(made)

    asyncio.run(main())


def test_a_dry_run_costs_nothing_and_is_still_refused(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        client = world.client()
        await _quota(client, "q", configmaps="1", pods="1")
        await client.create(registry.PODS, pod("a"), NAMESPACE, dryRun="All")
        assert (await _used(client, "q"))["pods"] == "0"
        await client.create(registry.PODS, pod("a"), NAMESPACE)
        assert (await _used(client, "q"))["pods"] == "1"
        try:
            await client.create(registry.PODS, pod("b"), NAMESPACE, dryRun="All")
        except StatusError as error:
            assert error.code == 403
        else:
            raise AssertionError("it fits")
        await client.create(registry.CONFIGMAPS, config_map("free"), NAMESPACE)

    async def main() -> None:
        async with running(tmp_path) as world:
            await story(world)

    asyncio.run(main())


def test_two_servers_over_one_store_share_a_quota(tmp_path: Path) -> None:
    async def main() -> None:
        store = MemoryStore()
        async with running(tmp_path, store) as one, running(tmp_path, store) as two:
            clients = (one.client(), two.client())
            await _quota(clients[0], "q", pods="5")
            await eventually(
                lambda: (
                    two.api.ctx.reader.get("resourcequotas", "", NAMESPACE, "q")
                    == one.api.ctx.reader.get("resourcequotas", "", NAMESPACE, "q")
                )
            )
            answers = await asyncio.gather(
                *(clients[number % 2].create(registry.PODS, pod(f"p{number}"), NAMESPACE) for number in range(20)),
                return_exceptions=True,
            )
            made = [answer for answer in answers if isinstance(answer, dict)]
            assert len(made) == 5
            assert await _used(clients[0], "q") == {"pods": "5"}

    asyncio.run(main())
