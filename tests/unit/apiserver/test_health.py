"""Checks that are added to those of every server."""

from __future__ import annotations

from knarr.apiserver.health import Health
from knarr.apiserver.request import Request


def test_an_added_check_counts_for_readiness_and_not_for_liveness() -> None:
    health, well = Health(), [True]
    before = len([name for endpoint, name, _ in health.results() if endpoint == "livez"])
    health.add("kms-providers", lambda: well[0])
    found = [name for endpoint, name, _ in health.results() if endpoint == "readyz"]
    assert found[-2:] == ["kms-providers", "shutdown"]
    assert len([name for endpoint, name, _ in health.results() if endpoint == "livez"]) == before
    for endpoint in ("healthz", "readyz"):
        path = f"/{endpoint}/kms-providers"
        for holds, status in ((True, 200), (False, 500)):
            well[0] = holds
            answer = health.answer(Request("GET", path, {}, {}))
            assert answer is not None and answer.status == status
