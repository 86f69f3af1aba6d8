"""Writes that meet: what must hold whoever comes first."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.component.apiserver.world import NAMESPACE, config_map, eventually, pod, running

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.client.client import MERGE_PATCH


def test_of_updates_from_the_same_version_one_wins(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            made = await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)

            async def put(number: int) -> int:
                try:
                    await client.update(registry.CONFIGMAPS, {**made, "data": {"k": str(number + 1)}})
                except StatusError as error:
                    assert error.reason == "Conflict"
                    return 0
                return 1

            assert sum(await asyncio.gather(*(put(number) for number in range(12)))) == 1

    asyncio.run(main())


def test_patches_of_one_object_all_take_effect(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
            await asyncio.gather(
                *(
                    client.patch(
                        registry.CONFIGMAPS, "a", {"data": {f"n{n}": "x"}}, NAMESPACE, content_type=MERGE_PATCH
                    )
                    for n in range(30)
                )
            )
            found = await client.get(registry.CONFIGMAPS, "a", NAMESPACE)
            assert set(found["data"]) == {"k", *(f"n{n}" for n in range(30))}

    asyncio.run(main())


def test_a_write_without_effect_writes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            made = await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
            again = await client.update(registry.CONFIGMAPS, dict(reversed(made.items())))
            assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]

    asyncio.run(main())


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            before = world.api.ctx.cache.revision
            made = await client.create(registry.PODS, pod("p"), NAMESPACE, dryRun="All")
            assert made["metadata"]["uid"]
            service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "type": "NodePort"}}
            await client.create(registry.SERVICES, service, NAMESPACE, dryRun="All")
            assert world.api.ctx.cache.revision == before

    asyncio.run(main())


def test_names_are_generated_until_one_is_free(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            body = {"metadata": {"generateName": "job-"}}
            made = await asyncio.gather(*(client.create(registry.CONFIGMAPS, body, NAMESPACE) for _ in range(20)))
            names = {item["metadata"]["name"] for item in made}
            assert len(names) == 20
            assert all(name.startswith("job-") and len(name) == 9 for name in names)

    asyncio.run(main())


def test_cluster_ips_and_node_ports_are_given_once_and_come_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()

            def body(number: int) -> dict[str, object]:
                return {"metadata": {"name": f"s{number}"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}

            made = await asyncio.gather(*(client.create(registry.SERVICES, body(n), NAMESPACE) for n in range(40)))
            addresses = [item["spec"]["clusterIP"] for item in made]
            ports = [item["spec"]["ports"][0]["nodePort"] for item in made]
            assert len(set(addresses)) == len(set(ports)) == 40
            taken = {"metadata": {"name": "t"}, "spec": {"clusterIP": addresses[0], "ports": [{"port": 80}]}}
            with pytest.raises(StatusError, match="provided IP is already allocated"):
                await client.create(registry.SERVICES, taken, NAMESPACE)
            await client.delete(registry.SERVICES, "s0", NAMESPACE)
            again = await client.create(registry.SERVICES, taken, NAMESPACE)
            assert again["spec"]["clusterIP"] == addresses[0]
            reader = world.api.ctx.reader
            await eventually(
                lambda: (
                    {item["metadata"]["name"] for item in reader.list("ipaddresses", "networking.k8s.io")}
                    == {*addresses, "10.96.0.1"}
                )
            )

    asyncio.run(main())


def test_a_binding_is_given_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await client.create(registry.PODS, pod("p"), NAMESPACE)

            async def bind(node: str) -> str:
                body = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": node}}
                try:
                    await client.create(registry.PODS, body, NAMESPACE, name="p", subresource="binding")
                except StatusError as error:
                    assert error.reason == "Conflict"
                    return ""
                return node

            won = [node for node in await asyncio.gather(*(bind(f"n{n}") for n in range(8))) if node]
            found = await client.get(registry.PODS, "p", NAMESPACE)
            assert won == [found["spec"]["nodeName"]]

    asyncio.run(main())
