"""The documents made of usages: the summary and cAdvisor's text."""

from __future__ import annotations

from knarr.apimachinery.types import Object
from knarr.kubelet.kernel_figures import FileSystem, Group, Interface
from knarr.kubelet.server import cadvisor
from knarr.kubelet.server.summary import NodeFigures, PodFigures, VolumeUse, summary
from knarr.kubelet.server.usage import NodeUsage, Usage

SECOND = 1_000_000_000
DISK = FileSystem(1000, 600, 400, 100, 90)
ETH = Interface("eth0", 1, 2, 3, 4, 5, 6, 7, 8)
USE = Usage("default", "p", "u", "c", "id1", 100 * SECOND, 6 * SECOND, 4096, 250_000_000, 8192, 1024, 7, 1, 50, 3)
NODE = NodeUsage(100 * SECOND, 60 * SECOND, 5000, 7000)
POD: Object = {"metadata": {"name": "p", "namespace": "default", "uid": "u"}, "status": {}}


def test_a_pod_sums_up_its_containers_volumes_and_logs() -> None:
    node = NodeFigures("n", 0, [ETH], DISK, DISK, 11, 32768, 200)
    pod = PodFigures([ETH], 4, [VolumeUse("v", 200, DISK)], {"c": 25})
    made = summary(NODE, node, [USE], [POD], {"u": pod})
    [report] = made["pods"]
    assert report["ephemeral-storage"]["usedBytes"] == 200 + 50 + 25
    assert report["process_stats"] == {"process_count": 4}
    assert report["network"]["rxBytes"] == 1
    assert report["network"]["interfaces"][0]["txErrors"] == 7
    [volume] = report["volume"]
    assert (volume["name"], volume["usedBytes"], volume["capacityBytes"]) == ("v", 200, 1000)
    [container] = report["containers"]
    assert (container["logs"]["usedBytes"], container["rootfs"]["usedBytes"]) == (25, 50)
    assert made["node"]["runtime"]["imageFs"]["usedBytes"] == 11


def test_a_pod_without_containers_that_run_is_left_out() -> None:
    node = NodeFigures("n", 0, [], DISK, DISK, 0, 1, 1)
    assert summary(NODE, node, [], [POD], {})["pods"] == []


def test_cadvisor_tells_containers_pods_and_the_machine() -> None:
    group = Group(user=4.0, periods=10, throttled_periods=2, quota=50_000, memory_limit=9999, processes=3)
    containers = [cadvisor.Container(USE, group, "kubepods/podu/id1", "busybox", 77.5)]
    machine = cadvisor.Machine(2, 8000, 0, "m", "s", "b", DISK, [ETH])
    network = cadvisor.PodNetwork("default", "p", "kubepods/podu", [ETH])
    lines = cadvisor.render(containers, [network], machine).splitlines()
    labels = 'container="c",id="/kubepods/podu/id1",image="busybox",name="id1",namespace="default",pod="p"'
    for line in (
        f'container_cpu_usage_seconds_total{{{labels},cpu="total"}} 6 100000',
        f"container_cpu_cfs_throttled_periods_total{{{labels}}} 2 100000",
        f"container_spec_memory_limit_bytes{{{labels}}} 9999 100000",
        f"container_start_time_seconds{{{labels}}} 77.5 100000",
        'machine_cpu_cores{boot_id="b",machine_id="m",system_uuid="s"} 2',
        'container_network_receive_bytes_total{container="",id="/kubepods/podu",image="",name="",'
        'namespace="default",pod="p",interface="eth0"} 1',
    ):
        assert line in lines, line
    assert len({line.split()[2] for line in lines if line.startswith("# TYPE")}) == lines_of_type(lines)


def lines_of_type(lines: list[str]) -> int:
    return sum(line.startswith("# TYPE") for line in lines)


def test_figures_of_a_quota_are_left_out_without_one() -> None:
    text = cadvisor.render([cadvisor.Container(USE, Group(), "x")], [], cadvisor.Machine(1, 1, 0, "", "", "", DISK))
    assert "container_cpu_cfs_periods_total" not in text
    assert "container_spec_cpu_quota" not in text
