"""Who may use the kubelet's API, and what it tells."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest
from tests.component.streams.runtime import ProcessWorld as World
from tests.component.streams.runtime import processes
from tests.component.streams.world import client_tls, pod, run_loop, world

from knarr.apimachinery.types import Object
from knarr.component_base import http_client
from knarr.component_base.http_client import Address, Incoming, Outgoing

GOOD = ("Authorization", "Bearer good")


def run(directory: Path, test: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(90), processes() as runtime, world(directory, runtime) as made:
            made.add(pod())
            await test(made)

    run_loop(main())


async def get(made: World, path: str, *headers: tuple[str, str], method: str = "GET") -> tuple[int, bytes]:
    answer = await http_client.send(made.kubelet, Outgoing(method, path, headers))
    return answer.status, await answer.read(1 << 20)


def as_admin(made: World, directory: Path) -> Address:
    tls = client_tls(directory, made.authority, "kube-apiserver", ("system:masters",))
    return Address(made.kubelet.host, made.kubelet.port, tls)


def test_who_is_unknown_is_turned_away(tmp_path: Path) -> None:
    async def test(made: World) -> None:
        assert await get(made, "/pods") == (401, b"Unauthorized")
        assert await get(made, "/healthz") == (401, b"Unauthorized")
        assert await get(made, "/pods", ("Authorization", "Bearer bad")) == (401, b"Unauthorized")
        assert await get(made, "/pods", ("Authorization", "Basic good")) == (401, b"Unauthorized")
        made.reviews.down = True
        assert (await get(made, "/pods", ("Authorization", "Bearer other")))[0] == 500

    run(tmp_path, test)


def test_a_token_opens_what_the_api_server_says(tmp_path: Path) -> None:
    async def test(made: World) -> None:
        status, text = await get(made, "/metrics", GOOD)
        assert (status, b"kubelet_node_name" in text) == (200, True)
        code, text = await get(made, "/pods", GOOD)
        assert code == 403
        assert text == b"Forbidden (user=reader, verb=get, resource=nodes, subresource(s)=[pods proxy])\n"
        assert (await get(made, "/exec/default/p/c?command=ls&output=1", GOOD, method="POST"))[0] == 403
        asked = len(made.reviews.asked)
        await get(made, "/metrics", GOOD)
        await get(made, "/pods", GOOD)
        assert len(made.reviews.asked) == asked, "answers are remembered"
        attributes = made.reviews.asked[1]["spec"]["resourceAttributes"]
        assert attributes == {
            "verb": "get",
            "version": "v1",
            "resource": "nodes",
            "subresource": "metrics",
            "name": "streams-node",
        }

    run(tmp_path, test)


def test_proxy_rights_open_everything_but_statistics(tmp_path: Path) -> None:
    async def test(made: World) -> None:
        made.reviews.allowed = {("kube-apiserver", "proxy")}
        admin = as_admin(made, tmp_path)
        for path in ("/pods", "/healthz", "/configz", "/runningpods"):
            assert (await http_client.send(admin, Outgoing("GET", path))).status == 200
        for path in ("/metrics", "/stats/summary", "/metrics/resource", "/metrics/cadvisor", "/metrics/probes"):
            assert (await http_client.send(admin, Outgoing("GET", path))).status == 403

    run(tmp_path, test)


def stats(cpu: int, time: int) -> Object:
    labels = {
        "io.kubernetes.pod.namespace": "default",
        "io.kubernetes.pod.name": "p",
        "io.kubernetes.pod.uid": "uid-p",
        "io.kubernetes.container.name": "c",
    }
    return {
        "attributes": {"id": "c1", "labels": labels},
        "cpu": {"timestamp": time, "usage_core_nano_seconds": {"value": cpu}},
        "memory": {"timestamp": time, "working_set_bytes": {"value": 4096}},
    }


def test_statistics_are_those_of_the_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = 1_000_000_000

    async def test(made: World) -> None:
        made.reviews.allowed = {("kube-apiserver", "stats"), ("kube-apiserver", "metrics")}
        looks = [stats(5 * second, 100 * second), *(stats(6 * second, 104 * second) for _ in range(3))]

        async def container_stats() -> list[Object]:
            return [looks.pop(0)]

        monkeypatch.setattr(made.runtime, "container_stats", container_stats)
        admin = as_admin(made, tmp_path)
        first, second_ = [await summary(admin) for _ in range(2)]
        [report] = first["pods"]
        assert report["podRef"] == {"name": "p", "namespace": "default", "uid": "uid-p"}
        assert "usageNanoCores" not in report["containers"][0]["cpu"]
        [report] = second_["pods"]
        assert report["containers"][0]["cpu"]["usageNanoCores"] == 250_000_000
        assert report["memory"]["workingSetBytes"] == 4096
        assert second_["node"]["cpu"]["usageCoreNanoSeconds"] > 0
        node = second_["node"]
        assert node["fs"]["capacityBytes"] >= node["fs"]["availableBytes"] > 0
        assert node["runtime"]["imageFs"]["usedBytes"] == 0
        assert node["rlimit"]["maxpid"] >= node["rlimit"]["curproc"] > 0
        lines = await text_lines(admin, "/metrics/resource")
        assert 'container_cpu_usage_seconds_total{container="c",namespace="default",pod="p"} 6 104000' in lines
        assert 'pod_memory_working_set_bytes{namespace="default",pod="p"} 4096 104000' in lines
        lines = await text_lines(admin, "/metrics/cadvisor")
        [cpu] = [line for line in lines if line.startswith("container_cpu_usage_seconds_total{") and 'pod="p"' in line]
        assert cpu.endswith('cpu="total"} 6 104000')
        assert [line for line in lines if line.startswith("machine_memory_bytes")]

    run(tmp_path, test)


async def text_lines(admin: Address, path: str) -> list[str]:
    answer = await http_client.send(admin, Outgoing("GET", path))
    return (await answer.read(1 << 20)).decode().splitlines()


async def summary(admin: Address) -> Object:
    answer: Incoming = await http_client.send(admin, Outgoing("GET", "/stats/summary"))
    found: Object = orjson.loads(await answer.read(1 << 20))
    return found


def test_paths_methods_and_pods_that_do_not_exist(tmp_path: Path) -> None:
    async def test(made: World) -> None:
        admin = as_admin(made, tmp_path)

        async def status(method: str, path: str) -> tuple[int, bytes]:
            answer = await http_client.send(admin, Outgoing(method, path))
            return answer.status, await answer.read(1 << 20)

        assert await status("GET", "/nothing") == (404, b"404 page not found\n")
        assert (await status("POST", "/pods"))[0] == 405
        assert await status("POST", "/exec/default/none/c?command=ls&output=1") == (404, b"pod does not exist")
        assert await status("POST", "/exec/default/p/wrong-uid/c?command=ls&output=1") == (404, b"pod does not exist")
        assert (await status("POST", "/exec/default/p/c?command=ls"))[0] == 400
        assert await status("GET", "/containerLogs/default/p/no") == (404, b'container "no" not found in pod "p"\n')
        assert (await status("GET", "/containerLogs/default/p/c?tailLines=x"))[0] == 400
        assert await status("POST", "/run/default/p/c?cmd=echo%20hi") == (200, b"hi\n")
        made.view.trouble = "the runtime is down"
        assert await status("GET", "/healthz") == (500, b"the runtime is down")

    run(tmp_path, test)
