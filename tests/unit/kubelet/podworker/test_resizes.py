"""Requests and limits that change while containers run."""

from __future__ import annotations

from typing import Any

from tests.unit.kubelet.podworker.test_worker import Bench, pod

from knarr.apimachinery.types import Object
from knarr.kubelet.podworker import model
from knarr.kubelet.podworker.model import Change


def container(cpu: str, **more: Any) -> Object:
    return {"name": "app", "image": "nginx", "resources": _cpu(cpu), **more}


def _cpu(amount: str) -> Object:
    return {"requests": {"cpu": amount}, "limits": {"cpu": amount}}


def running(**more: Any) -> tuple[Bench, str]:
    bench = Bench(pod(container("1", **more)))
    bench.to_sandbox()
    return bench, bench.start("app")


def shown(bench: Bench) -> tuple[str, str]:
    """CPU that is set aside, and CPU that the container has."""
    status = bench.status()["containerStatuses"][0]
    return status["allocatedResources"]["cpu"], status["resources"]["limits"]["cpu"]


def in_progress(bench: Bench) -> list[Object]:
    return [each for each in bench.status()["conditions"] if each["type"] == "PodResizeInProgress"]


def test_the_status_tells_what_a_container_has_and_not_what_it_is_to_have() -> None:
    bench, container_id = running()
    assert shown(bench) == ("1", "1")
    assert in_progress(bench) == []
    change = Change("app", container_id, _cpu("2"))
    assert bench.tell(model.PodChanged(pod(container("2")))) == [model.Resize((change,))]
    assert shown(bench) == ("2", "1")
    assert in_progress(bench)[0]["status"] == "True"
    assert bench.tell(model.Resized((change,))) == []
    assert shown(bench) == ("2", "2")
    assert in_progress(bench) == []


def test_changes_come_one_after_the_other() -> None:
    bench, container_id = running()
    bench.tell(model.PodChanged(pod(container("2"))))
    assert bench.tell(model.PodChanged(pod(container("3")))) == []
    orders = bench.tell(model.Resized((Change("app", container_id, _cpu("2")),)))
    assert orders == [model.Resize((Change("app", container_id, _cpu("3")),))]


def test_a_refused_change_is_told_and_not_tried_again_before_the_next() -> None:
    bench, container_id = running()
    bench.tell(model.PodChanged(pod(container("2"))))
    assert bench.tell(model.Resized((), ((Change("app", container_id, _cpu("2")), "busy"),))) == []
    assert bench.tell(model.Tick()) == []
    [told] = in_progress(bench)
    assert (told["reason"], told["message"]) == ("Error", "busy")
    assert shown(bench) == ("2", "1")
    back = bench.tell(model.PodChanged(pod(container("1"))))
    assert back == []
    assert in_progress(bench) == []


def test_a_container_starts_anew_where_its_policy_says_so() -> None:
    policy = {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]}
    bench, container_id = running(**policy)
    orders = bench.tell(model.PodChanged(pod(container("2", **policy))))
    assert orders == [model.Stop("app", container_id, 30, "Container app resize requires restart")]
    bench.exit("app", container_id, 0)
    bench.start("app")
    assert shown(bench) == ("2", "2")
    assert bench.status()["containerStatuses"][0]["restartCount"] == 1
