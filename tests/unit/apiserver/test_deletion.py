from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api import registry
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver import deletion, traits
from knarr.apiserver.deletion import FOREGROUND, ORPHAN, Plan

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def _plan(obj: Object, resource: Any = registry.PODS, **options: Any) -> Plan:
    return deletion.plan(resource, traits.of(resource), obj, options, NOW)


def _pod(**metadata: Any) -> Object:
    return {
        "metadata": {"name": "p", "uid": "u", "resourceVersion": "5", "generation": 1, **metadata},
        "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30},
        "status": {"phase": "Running"},
    }


def _meta(plan: Plan) -> Object:
    meta: Object = plan.obj["metadata"]
    return meta


def test_a_pod_gets_its_own_grace() -> None:
    plan = _plan(_pod())
    assert plan.action == "keep"
    assert _meta(plan)["deletionGracePeriodSeconds"] == 30
    assert _meta(plan)["deletionTimestamp"] == "2026-01-01T00:00:30Z"
    assert _meta(plan)["generation"] == 2


@pytest.mark.parametrize("change", [{"spec": {"terminationGracePeriodSeconds": 30}}, {"status": {"phase": "Failed"}}])
def test_a_pod_that_runs_nowhere_goes_at_once(change: Object) -> None:
    assert _plan({**_pod(), **change}).action == "mark-and-remove"


def test_preconditions_are_checked_first() -> None:
    with pytest.raises(StatusError) as caught:
        _plan(_pod(), preconditions={"uid": "other"})
    assert caught.value.code == 409


@given(st.lists(st.one_of(st.none(), st.integers(-5, 100)), min_size=1, max_size=8))
def test_a_later_request_never_prolongs(grace_periods: list[int | None]) -> None:
    obj, last = _pod(), 10**9
    for asked in grace_periods:
        plan = _plan(obj, **({} if asked is None else {"gracePeriodSeconds": asked}))
        if plan.action in ("remove", "mark-and-remove"):
            return
        obj = plan.obj
        have = _meta(plan)["deletionGracePeriodSeconds"]
        assert 0 < have <= last
        moment = timestamps.parse(_meta(plan)["deletionTimestamp"])
        assert moment == NOW + datetime.timedelta(seconds=have)
        last = have


_FINALIZERS = st.lists(st.sampled_from(["a.b/c", ORPHAN, FOREGROUND]), unique=True)
_POLICY = st.sampled_from([None, "Orphan", "Foreground", "Background"])


@given(_FINALIZERS, _POLICY, st.sampled_from([registry.CONFIGMAPS, registry.JOBS]))
def test_finalizers_follow_the_policy(have: list[str], policy: str | None, resource: Any) -> None:
    obj = {"metadata": {"name": "x", "uid": "u", "resourceVersion": "5", "finalizers": list(have)}}
    plan = _plan(obj, resource, **({"propagationPolicy": policy} if policy else {}))
    others = [item for item in have if item == "a.b/c"]
    own = [item for item in have if item != "a.b/c"]
    wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND, "Background": ""}.get(policy or "")
    if wanted is None:
        wanted = own[0] if own else ORPHAN if resource is registry.JOBS else ""
    expected = {*others, *([wanted] if wanted else [])}
    assert plan.action == ("keep" if expected else "remove")
    if expected:
        assert set(_meta(plan)["finalizers"]) == expected
        assert _meta(plan)["deletionGracePeriodSeconds"] == 0
    # The object that was given is as it was.
    assert obj["metadata"]["finalizers"] == have
