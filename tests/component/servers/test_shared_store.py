"""Two servers, one etcd: what either acknowledges the other has, and one that dies is not missed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from tests.etcd import Etcd, folder, needs_etcd

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.storage.etcd.store import EtcdStore

from .world import Server, client_of, eventually, status

pytestmark = needs_etcd
COUNTERS = 3


class Pair:
    """An etcd and two API servers."""

    def __init__(self, folder: Path) -> None:
        self.etcd = Etcd(folder / "etcd")
        flags = ("--role", "apiserver", "--token", "secret", "--service-node-port-range", "30000-30039")
        self.servers = [
            Server(folder, f"server-{number}", self.etcd.endpoint, *flags, "--advertise-address", f"192.0.2.{number}")
            for number in (1, 2)
        ]

    def start(self) -> None:
        self.etcd.start()
        for server in self.servers:
            server.start()

    def stop(self) -> None:
        for server in self.servers:
            server.kill()
        self.etcd.kill()


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with folder() as path:
        found = Pair(path)
        try:
            found.start()
            yield found
        finally:
            found.stop()


def counter(name: str) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "data": {"n": "0"}}


class Counting:
    """Workers that count up, one change at a time, and know what they were promised."""

    def __init__(self) -> None:
        self.acknowledged = dict.fromkeys((f"counter-{number}" for number in range(COUNTERS)), 0)
        self.unknown = dict.fromkeys(self.acknowledged, 0)
        self.stopping = False

    @property
    def total(self) -> int:
        return sum(self.acknowledged.values())

    async def work(self, client: Client, worker: int) -> None:
        """Count until told to stop, or until the server is gone."""
        names = list(self.acknowledged)
        turn = worker
        while not self.stopping:
            name = names[turn % COUNTERS]
            turn += 1
            try:
                await self._once(client, name)
            except ConnectionError:
                return

    async def _once(self, client: Client, name: str) -> None:
        obj = await client.get(registry.CONFIGMAPS, name, "default")
        obj["data"]["n"] = str(int(obj["data"]["n"]) + 1)
        try:
            await client.update(registry.CONFIGMAPS, obj)
            self.acknowledged[name] += 1
        except StatusError as error:
            assert error.reason == "Conflict", error
        except ConnectionError:
            self.unknown[name] += 1
            raise


async def watch(client: Client, start: str, seen: list[Object]) -> None:
    """Collect the states of the counters from a revision on."""
    watching = client.watch(registry.CONFIGMAPS, "default", resourceVersion=start)
    with suppress(ConnectionError):
        async with aclosing(watching) as events:
            async for event in events:
                if event.object["metadata"]["name"].startswith("counter-"):
                    seen.append(event.object)


def revisions(seen: list[Object]) -> list[int]:
    return [int(obj["metadata"]["resourceVersion"]) for obj in seen]


def test_no_update_is_lost_and_a_killed_server_is_not_missed(pair: Pair) -> None:
    async def main() -> None:
        accesses = [await server.ready() for server in pair.servers]
        async with client_of(accesses[0]) as one, client_of(accesses[1]) as two:
            counting = Counting()
            for name in counting.acknowledged:
                await one.create(registry.CONFIGMAPS, counter(name), "default")
            start = (await two.list(registry.CONFIGMAPS, "default"))["metadata"]["resourceVersion"]
            seen: list[list[Object]] = [[], []]
            tasks = [
                asyncio.ensure_future(watch(client, start, heard))
                for client, heard in zip((one, two), seen, strict=True)
            ]
            tasks += [asyncio.ensure_future(counting.work((one, two)[worker % 2], worker)) for worker in range(6)]
            await eventually(lambda: counting.total > 60)
            pair.servers[0].kill()
            reached = counting.total
            await eventually(lambda: counting.total > reached + 60)
            counting.stopping = True
            await asyncio.gather(*tasks[2:])
            final = await two.list(registry.CONFIGMAPS, "default")
            last = {
                item["metadata"]["name"]: item
                for item in final["items"]
                if item["metadata"]["name"] in counting.acknowledged
            }
            await eventually(lambda: max(revisions(seen[1])) == max(revisions(list(last.values()))))
            tasks[1].cancel()
            for name, promised in counting.acknowledged.items():
                value = int(last[name]["data"]["n"])
                assert promised <= value <= promised + counting.unknown[name]
                # Each step came, once and in order.
                steps = [int(obj["data"]["n"]) for obj in seen[1] if obj["metadata"]["name"] == name]
                assert steps == list(range(1, value + 1))
            assert revisions(seen[1]) == sorted(revisions(seen[1]))
            assert seen[0] == seen[1][: len(seen[0])]
            pair.servers[0].start()
            again = await pair.servers[0].ready()
            async with client_of(again) as back:
                found = await back.list(
                    registry.CONFIGMAPS, "default", resourceVersion=final["metadata"]["resourceVersion"]
                )
                assert found["items"] == final["items"]
                assert seen[1][-1]["metadata"]["uid"] in {item["metadata"]["uid"] for item in found["items"]}

    asyncio.run(main())


def test_a_read_shows_what_the_other_server_has_acknowledged(pair: Pair) -> None:
    async def main() -> None:
        accesses = [await server.ready() for server in pair.servers]
        async with client_of(accesses[0]) as one, client_of(accesses[1]) as two:
            for number in range(16):
                writer, reader = (one, two) if number % 2 else (two, one)
                name = f"fresh-{number}"
                await writer.create(registry.NAMESPACES, {"metadata": {"name": name}})
                made = await reader.create(registry.CONFIGMAPS, {"metadata": {"name": "a"}}, name)
                assert (await writer.get(registry.CONFIGMAPS, "a", name)) == made
                listed = await writer.list(registry.CONFIGMAPS, name, limit="10")
                assert int(listed["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])
                made["data"] = {"k": "v"}
                changed = await writer.update(registry.CONFIGMAPS, made)
                changed["data"] = {"k": "w"}
                await reader.update(registry.CONFIGMAPS, changed)
                await writer.delete(registry.CONFIGMAPS, "a", name)
                with pytest.raises(StatusError) as failure:
                    await reader.get(registry.CONFIGMAPS, "a", name)
                assert failure.value.reason == "NotFound"

    asyncio.run(main())


def test_pages_of_one_list_may_come_from_either_server(pair: Pair) -> None:
    async def main() -> None:
        accesses = [await server.ready() for server in pair.servers]
        async with client_of(accesses[0]) as one, client_of(accesses[1]) as two:
            await one.create(registry.NAMESPACES, {"metadata": {"name": "paged"}})
            for number in range(7):
                await one.create(registry.CONFIGMAPS, {"metadata": {"name": f"p{number}"}}, "paged")
            first = await one.list(registry.CONFIGMAPS, "paged", limit="3")
            await two.delete(registry.CONFIGMAPS, "p5", "paged")
            await one.create(registry.CONFIGMAPS, {"metadata": {"name": "p4b"}}, "paged")
            rest = await two.list(
                registry.CONFIGMAPS, "paged", limit="9", **{"continue": first["metadata"]["continue"]}
            )
            names = [item["metadata"]["name"] for item in first["items"] + rest["items"]]
            assert names == [f"p{number}" for number in range(7)]
            assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]

    asyncio.run(main())


def test_certificates_and_tokens_of_one_server_are_good_for_the_other(pair: Pair) -> None:
    async def main() -> None:
        one, two = [await server.ready() for server in pair.servers]
        assert one.authority == two.authority
        assert await status(replace(one, server=two.server), "/api/v1/nodes") == 200
        async with client_of(one) as client:
            with suppress(StatusError):
                await client.create(registry.SERVICEACCOUNTS, {"metadata": {"name": "robot"}}, "default")
            asked: Object = {"spec": {}}
            request = registry.SERVICEACCOUNTS
            made = await client.create(request, asked, "default", name="robot", subresource="token")
        bearer = replace(two, certificate=b"", key=b"", token=made["status"]["token"])
        assert await status(bearer, "/api/v1/nodes") == 403
        assert await status(replace(bearer, token="wrong"), "/api/v1/nodes") == 401

    asyncio.run(main())


def service(name: str, **spec: object) -> Object:
    return {"metadata": {"name": name}, "spec": {"type": "NodePort", "ports": [{"port": 80}], **spec}}


def test_both_servers_give_every_address_and_port_once(pair: Pair) -> None:
    """Twice as many wishes as there are ports: all ports are given, none twice, and those of deleted Services again."""

    async def main() -> None:
        accesses = [await server.ready() for server in pair.servers]
        async with client_of(accesses[0]) as one, client_of(accesses[1]) as two:

            async def make(number: int) -> Object | None:
                try:
                    return await (one, two)[number % 2].create(registry.SERVICES, service(f"s{number}"), "default")
                except StatusError as error:
                    assert "range is full" in error.message, error
                    return None

            made = [obj for obj in await asyncio.gather(*(make(number) for number in range(60))) if obj is not None]
            ports = [obj["spec"]["ports"][0]["nodePort"] for obj in made]
            assert sorted(ports) == list(range(30000, 30040))
            addresses = [obj["spec"]["clusterIP"] for obj in made]
            assert len(set(addresses)) == len(addresses)
            claims = {item["metadata"]["name"] for item in (await two.list(registry.IPADDRESSES))["items"]}
            assert set(addresses) <= claims
            gone = made[0]
            with pytest.raises(StatusError, match="provided port is already allocated"):
                await one.create(
                    registry.SERVICES, service("late", ports=[{"port": 80, "nodePort": ports[0]}]), "default"
                )
            await two.delete(registry.SERVICES, gone["metadata"]["name"], "default")
            wish = service("late", clusterIP=addresses[0], ports=[{"port": 80, "nodePort": ports[0]}])
            async with asyncio.timeout(90):
                # The claims are given back a moment after the answer.
                while True:
                    with suppress(StatusError):
                        late = await one.create(registry.SERVICES, wish, "default")
                        break
                    await asyncio.sleep(0.05)
            assert late["spec"]["clusterIP"] == addresses[0]
            for obj in [*made[1:], late]:
                await one.delete(registry.SERVICES, obj["metadata"]["name"], "default")

    asyncio.run(main())


def test_service_kubernetes_leads_to_the_servers_that_live(pair: Pair) -> None:
    async def main() -> None:
        accesses = [await server.ready() for server in pair.servers]
        async with client_of(accesses[1]) as client:

            async def shows(*addresses: str) -> None:
                async with asyncio.timeout(90):
                    while await _kubernetes(client) != list(addresses):  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(0.05)

            await shows("192.0.2.1", "192.0.2.2")
            pair.servers[0].stop()
            assert await _kubernetes(client) == ["192.0.2.2"]
            pair.servers[0].start()
            await pair.servers[0].ready()
            assert await _kubernetes(client) == ["192.0.2.1", "192.0.2.2"]

    asyncio.run(main())


async def _kubernetes(client: Client) -> list[str]:
    """The addresses of Service `kubernetes`, the same in Endpoints and EndpointSlice."""
    sliced = await client.get(registry.ENDPOINTSLICES, "kubernetes", "default")
    found = await client.get(registry.ENDPOINTS, "kubernetes", "default")
    addresses = [address["ip"] for subset in found["subsets"] for address in subset["addresses"]]
    return addresses if addresses == [one["addresses"][0] for one in sliced["endpoints"]] else []


def test_keys_and_values_lie_as_kubernetes_lays_them_out(pair: Pair) -> None:
    async def main() -> None:
        await pair.servers[1].ready()
        store = await EtcdStore.open(pair.etcd.endpoint, period=0)
        values = {kv.key: kv.value for kv in (await store.list("")).items}
        await store.close()
        expected = (
            "namespaces/default",
            "services/specs/default/kubernetes",
            "services/endpoints/default/kubernetes",
            "endpointslices/default/kubernetes",
            "ipaddresses/10.43.0.1",
            "servicecidrs/kubernetes",
            "masterleases/192.0.2.2",
            "apiregistration.k8s.io/apiservices/v1.apps",
            "clusterroles/cluster-admin",
            "prioritylevelconfigurations/exempt",
        )
        assert {f"/registry/{key}" for key in expected} <= set(values)
        service = orjson.loads(values["/registry/services/specs/default/kubernetes"])
        assert (service["kind"], service["apiVersion"]) == ("Service", "v1")
        assert "resourceVersion" not in service["metadata"]
        assert b"PRIVATE KEY" not in values["/bootstrap/secrets"]

    asyncio.run(main())


def test_without_etcd_a_server_says_so_and_comes_back(pair: Pair) -> None:
    async def main() -> None:
        access = await pair.servers[1].ready()
        async with client_of(access) as client:
            before = await client.list(registry.NAMESPACES)
            pair.etcd.kill()
            try:
                async with asyncio.timeout(90):
                    while await status(access, "/readyz") != 500:  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(0.05)
                assert await status(access, "/livez/etcd") == 500
                with pytest.raises(StatusError) as failure:
                    await client.create(registry.NAMESPACES, {"metadata": {"name": "lost"}})
                assert failure.value.code == 500
                assert "etcd is not reachable" in failure.value.message
            finally:
                pair.etcd.start()
            await pair.servers[1].ready()
            await client.create(registry.NAMESPACES, {"metadata": {"name": "found"}})
            names = {item["metadata"]["name"] for item in (await client.list(registry.NAMESPACES))["items"]}
            assert names == {item["metadata"]["name"] for item in before["items"]} | {"found"}

    asyncio.run(main())
