"""Tables: the status of pods, ages, and that every resource has as many cells as columns."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from knarr.api.printers import table
from knarr.api.printers.kinds import CELLS
from knarr.api.printers.text import duration
from knarr.api.registry import PODS, RESOURCES, SERVICES
from knarr.apimachinery.types import Object

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REFERENCE = Path(__file__).parents[5] / "shared" / "reference" / "roundtrip"


def pod(status: Object, *, spec: Object | None = None, deleted: bool = False) -> Object:
    meta: Object = {"name": "p", "creationTimestamp": "2025-12-31T23:55:00Z"}
    if deleted:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": meta, "spec": {"containers": [{"name": "c"}], **(spec or {})}, "status": status}


def container(state: Object, **more: Any) -> Object:
    return {"name": "c", "state": state, **more}


@pytest.mark.parametrize(
    ("obj", "ready", "status", "restarts"),
    [
        (pod({"phase": "Pending"}), "0/1", "Pending", "0"),
        (
            pod({"phase": "Running", "containerStatuses": [container({"running": {}}, ready=True)]}),
            "1/1",
            "Running",
            "0",
        ),
        (
            pod(
                {
                    "phase": "Running",
                    "containerStatuses": [
                        container(
                            {"waiting": {"reason": "CrashLoopBackOff"}},
                            restartCount=3,
                            lastState={"terminated": {"finishedAt": "2025-12-31T23:58:30Z"}},
                        )
                    ],
                }
            ),
            "0/1",
            "CrashLoopBackOff",
            "3 (90s ago)",
        ),
        (
            pod({"phase": "Succeeded", "containerStatuses": [container({"terminated": {"reason": "Completed"}})]}),
            "0/1",
            "Completed",
            "0",
        ),
        (
            pod({"phase": "Failed", "containerStatuses": [container({"terminated": {"exitCode": 3}})]}),
            "0/1",
            "ExitCode:3",
            "0",
        ),
        (
            pod(
                {"phase": "Pending", "initContainerStatuses": [container({"running": {}})]},
                spec={"initContainers": [{"name": "c"}, {"name": "d"}]},
            ),
            "0/1",
            "Init:0/2",
            "0",
        ),
        (pod({"phase": "Running"}, deleted=True), "0/1", "Terminating", "0"),
        (pod({"phase": "Failed", "reason": "Evicted"}, deleted=True), "0/1", "Evicted", "0"),
        (
            pod(
                {
                    "phase": "Pending",
                    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
                }
            ),
            "0/1",
            "SchedulingGated",
            "0",
        ),
    ],
)
def test_the_row_of_a_pod(obj: Object, ready: str, status: str, restarts: str) -> None:
    assert table.cells(PODS, obj, NOW)[:5] == ["p", ready, status, restarts, "5m"]


def test_a_pod_that_ended_marks_its_row() -> None:
    assert table.row_conditions(PODS, pod({"phase": "Failed"}))[0]["reason"] == "Failed"
    assert table.row_conditions(PODS, pod({"phase": "Running"})) == []


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(seconds=-5), "<invalid>"),
        (timedelta(seconds=0), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(seconds=150), "2m30s"),
        (timedelta(minutes=30), "30m"),
        (timedelta(hours=3, minutes=5), "3h5m"),
        (timedelta(hours=30), "30h"),
        (timedelta(days=3, hours=2), "3d2h"),
        (timedelta(days=400), "400d"),
        (timedelta(days=800), "2y70d"),
    ],
)
def test_spans(span: timedelta, text: str) -> None:
    assert duration(span.total_seconds()) == text


def test_an_external_address_is_pending_until_there_is_one() -> None:
    spec: Object = {"type": "LoadBalancer", "clusterIP": "10.0.0.1", "ports": [{"port": 80, "nodePort": 30080}]}
    obj: Object = {"metadata": {"name": "s"}, "spec": spec, "status": {}}
    assert table.cells(SERVICES, obj, NOW)[1:5] == ["LoadBalancer", "10.0.0.1", "<pending>", "80:30080/TCP"]
    obj["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    assert table.cells(SERVICES, obj, NOW)[3] == "192.0.2.1"


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference objects are not beside this checkout")
def test_every_printer_fills_its_columns_from_full_objects() -> None:
    found = 0
    for resource in RESOURCES:
        for path in REFERENCE.glob(f"*{resource.version}.{resource.kind}.json*"):
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            obj = json.loads(data)
            if obj["apiVersion"] != resource.api_version or resource.plural in ("events", "horizontalpodautoscalers"):
                continue
            assert len(table.cells(resource, obj, NOW)) == len(table.columns(resource)), resource.plural
            found += 1
    assert found > 30
    assert set(CELLS) - {"events.events.k8s.io"} <= set(table._columns())
