"""LimitRanger: what it sets, and what it refuses."""

from __future__ import annotations

from typing import Any

from tests.unit.apiserver.admission.conftest import Write, pod, refusal
from tests.unit.apiserver.conftest import FakeReader

from knarr.api import registry
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.limit_ranger import LimitRanger

PLUGIN = LimitRanger()


def _limit(reader: FakeReader, kind: str = "Container", name: str = "l", **bounds: Any) -> None:
    reader.add(
        "limitranges", {"metadata": {"name": name, "namespace": "n"}, "spec": {"limits": [{"type": kind, **bounds}]}}
    )


def _container(name: str = "c", requests: Object | None = None, limits: Object | None = None, **more: Any) -> Object:
    return {"name": name, "resources": {"requests": requests or {}, "limits": limits or {}}, **more}


def test_containers_get_what_they_leave_open_and_a_note_says_so(reader: FakeReader, write: Write) -> None:
    _limit(reader, default={"cpu": "1", "memory": "1Gi"}, defaultRequest={"cpu": "100m"})
    obj = pod(_container("a", {"cpu": "5m"}), _container("b"), initContainers=[_container("i", {}, {"cpu": "2"})])
    PLUGIN.admit(write(obj))
    a, b = obj["spec"]["containers"]
    assert a["resources"] == {"requests": {"cpu": "5m"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    assert b["resources"]["requests"] == {"cpu": "100m"}
    assert obj["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory limit for container a; cpu request for container b; "
        "cpu, memory limit for container b; cpu request for init container i; memory limit for init container i"
    )


def test_nothing_is_set_on_an_update_but_a_resize(reader: FakeReader, write: Write) -> None:
    _limit(reader, default={"cpu": "1"})
    obj = pod()
    PLUGIN.admit(write(obj, old=pod()))
    assert "resources" not in obj["spec"]["containers"][0]
    PLUGIN.admit(write(obj, old=pod(), sub="resize"))
    assert obj["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}}


def test_every_bound_of_a_container_is_checked(reader: FakeReader, write: Write) -> None:
    _limit(reader, min={"cpu": "100m"}, max={"memory": "1Gi"}, maxLimitRequestRatio={"cpu": "2"})
    obj = pod(_container("c", {"cpu": "50m", "memory": "2Gi"}, {"cpu": "1", "memory": "2Gi"}))
    assert refusal(PLUGIN.validate, write(obj)) == (
        "[minimum cpu usage per Container is 100m, but request is 50m, "
        "maximum memory usage per Container is 1Gi, but limit is 2Gi, "
        "cpu max limit to request ratio per Container is 2, but provided ratio is 20.000000]"
    )
    assert refusal(PLUGIN.validate, write(pod())) == (
        "[minimum cpu usage per Container is 100m.  No request is specified, "
        "maximum memory usage per Container is 1Gi.  No limit is specified, "
        "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0]"
    )


def test_a_pod_counts_as_a_whole_with_its_sidecars_and_largest_init_step(reader: FakeReader, write: Write) -> None:
    _limit(reader, "Pod", max={"cpu": "1"})

    def of(cpu: str, name: str, **more: Any) -> Object:
        return _container(name, {"cpu": cpu}, {"cpu": cpu}, **more)

    fits = pod(of("500m", "a"), of("300m", "b"), initContainers=[of("900m", "i")])
    PLUGIN.validate(write(fits))
    sidecar = pod(of("500m", "a"), of("300m", "b"), initContainers=[of("300m", "s", restartPolicy="Always")])
    assert refusal(PLUGIN.validate, write(sidecar)) == "maximum cpu usage per Pod is 1, but limit is 1100m"
    step = pod(of("100m", "a"), initContainers=[of("200m", "s", restartPolicy="Always"), of("900m", "i")])
    assert refusal(PLUGIN.validate, write(step)) == "maximum cpu usage per Pod is 1, but limit is 1100m"
    own = {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}
    assert refusal(PLUGIN.validate, write(pod(resources=own))) == "maximum cpu usage per Pod is 1, but limit is 2"


def test_claims_are_checked_when_they_are_made_and_when_they_grow(reader: FakeReader, write: Write) -> None:
    _limit(reader, "PersistentVolumeClaim", min={"storage": "1Gi"}, max={"storage": "2Gi"})

    def claim(size: str) -> Object:
        return {"metadata": {"name": "d"}, "spec": {"resources": {"requests": {"storage": size}}}}

    PLUGIN.validate(write(claim("1Gi"), registry.PVCS))
    small = refusal(PLUGIN.validate, write(claim("1Mi"), registry.PVCS))
    assert small == "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"
    large = refusal(PLUGIN.validate, write(claim("3Gi"), registry.PVCS, claim("1Gi")))
    assert large == "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"
