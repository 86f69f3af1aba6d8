from __future__ import annotations

import pytest

from knarr.apimachinery.types import Object
from knarr.kubelet.server import containers
from knarr.kubelet.server.containers import NoContainer


def pod(state: Object, last: Object | None = None, container_id: str = "containerd://now") -> Object:
    status: Object = {"name": "c", "state": state, "containerID": container_id}
    if last is not None:
        status["lastState"] = {"terminated": last}
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i", "tty": True}]},
        "status": {"containerStatuses": [status]},
    }


BEFORE: Object = {"containerID": "containerd://before"}


@pytest.mark.parametrize(
    ("found", "previous", "expected"),
    [
        (pod({"running": {}}), False, "now"),
        (pod({"running": {}}, BEFORE), False, "now"),
        (pod({"running": {}}, BEFORE), True, "before"),
        (pod({"terminated": {"containerID": "containerd://ended"}}), False, "ended"),
        (pod({"terminated": {}}, BEFORE), False, "before"),
        (pod({"waiting": {"reason": "CrashLoopBackOff"}}, BEFORE), False, "before"),
    ],
)
def test_whose_log_is_meant(found: Object, previous: bool, expected: str) -> None:
    assert containers.log_id(found, "c", previous=previous) == expected


ABOUT = 'container "c" in pod "p" '


@pytest.mark.parametrize(
    ("found", "previous", "text"),
    [
        (pod({"running": {}}), True, 'previous terminated container "c" in pod "p" not found'),
        (pod({"terminated": {}}), False, ABOUT + "is terminated"),
        (pod({"waiting": {"reason": "ContainerCreating"}}), False, ABOUT + "is waiting to start: ContainerCreating"),
        (pod({"waiting": {"reason": "ErrImagePull"}}), False, ABOUT + "is waiting to start: image can't be pulled"),
        (
            pod({"waiting": {"reason": "ImagePullBackOff"}}),
            False,
            ABOUT + "is waiting to start: trying and failing to pull image",
        ),
        (pod({}), False, ABOUT + "is waiting to start - no logs yet"),
    ],
)
def test_why_there_is_no_log(found: Object, previous: bool, text: str) -> None:
    with pytest.raises(NoContainer) as caught:
        containers.log_id(found, "c", previous=previous)
    assert str(caught.value) == text


def test_a_container_without_a_status_is_not_available() -> None:
    with pytest.raises(NoContainer, match='container "i" in pod "p" is not available'):
        containers.log_id(pod({"running": {}}), "i", previous=False)


def test_only_running_containers_take_commands() -> None:
    assert containers.running_id(pod({"running": {}}), "c") == "now"
    for found in (pod({"waiting": {}}), pod({"running": {}}, container_id="")):
        with pytest.raises(NoContainer, match='container not found \\("c"\\)'):
            containers.running_id(found, "c")


def test_a_followed_log_ends_with_its_container() -> None:
    assert containers.is_running(pod({"running": {}}), "c", "now")
    assert not containers.is_running(pod({"running": {}}), "c", "before")
    assert not containers.is_running(pod({"terminated": {}}), "c", "now")
    assert not containers.is_running(None, "c", "now")


def test_terminals() -> None:
    assert containers.has_terminal(pod({}), "i")
    assert not containers.has_terminal(pod({}), "c")
