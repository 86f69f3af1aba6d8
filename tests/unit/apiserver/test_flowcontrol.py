"""Requests find their flow schema; levels seat so many at once, queue the others fairly, and turn the rest away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from knarr.apimachinery.types import Object
from knarr.apiserver import request_info
from knarr.apiserver.flowcontrol import classify
from knarr.apiserver.flowcontrol.levels import CONCURRENCY, Level, join, levels
from knarr.apiserver.flowcontrol.metrics import FlowMetrics, reason
from knarr.component_base.http import UserInfo
from knarr.component_base.metrics import Registry

ANYBODY = {"kind": "Group", "group": {"name": "*"}}
EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}


def schema(name: str, precedence: int, subject: Object, *resources: Object, urls: tuple[str, ...] = ()) -> Object:
    others = [{"verbs": ["*"], "nonResourceURLs": list(urls)}] if urls else []
    return {
        "metadata": {"name": name, "uid": name},
        "spec": {
            "matchingPrecedence": precedence,
            "priorityLevelConfiguration": {"name": "level"},
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{"subjects": [subject], "resourceRules": list(resources), "nonResourceRules": others}],
        },
    }


def only(**rule: Any) -> Object:
    return {**EVERYTHING, **rule}


USER: Object = {"kind": "User", "user": {"name": "u"}}
SCHEMAS = [
    schema("all", 9000, ANYBODY, EVERYTHING, urls=("*",)),
    schema("health", 10, ANYBODY, urls=("/healthz", "/readyz/*")),
    schema("accounts", 20, {"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "*"}}, EVERYTHING),
    schema("one", 15, {"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "b"}}, EVERYTHING),
    schema("lease", 30, USER, only(resources=["leases"], verbs=["get"])),
    schema("status", 31, USER, only(resources=["pods/status"])),
    schema(
        "inside",
        32,
        {"kind": "Group", "group": {"name": "g"}},
        only(namespaces=["n"], clusterScope=False),
    ),
]


@pytest.mark.parametrize(
    ("user", "method", "path", "found"),
    [
        ("u", "GET", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", "lease"),
        ("u", "PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", "all"),
        ("u", "PATCH", "/api/v1/namespaces/n/pods/p/status", "status"),
        ("u", "PATCH", "/api/v1/namespaces/n/pods/p", "all"),
        ("g", "GET", "/api/v1/namespaces/n/pods", "inside"),
        ("g", "GET", "/api/v1/namespaces/m/pods", "all"),
        ("g", "GET", "/api/v1/nodes", "all"),
        ("x", "GET", "/readyz/etcd", "health"),
        ("x", "GET", "/readyz", "all"),
        ("system:serviceaccount:a:b", "GET", "/api/v1/nodes", "one"),
        ("system:serviceaccount:a:c", "GET", "/api/v1/nodes", "accounts"),
        ("system:serviceaccount:ab:c", "GET", "/api/v1/nodes", "all"),
    ],
)
def test_the_first_schema_that_matches_counts(user: str, method: str, path: str, found: str) -> None:
    info = request_info.of(method, path, {})
    who = UserInfo(user, (user,))
    matching = [one for one in classify.compiled(SCHEMAS) if one.matches(who, info)]
    assert matching[0].name == found
    assert matching[0].flow(who, info) == f"{found}/{user}"


def _configuration(name: str, shares: int, **response: Any) -> Object:
    limited = {"nominalConcurrencyShares": shares, "limitResponse": response}
    return {"metadata": {"name": name, "uid": name}, "spec": {"type": "Limited", "limited": limited}}


def test_levels_share_the_concurrency() -> None:
    exempt: Object = {"metadata": {"name": "exempt", "uid": "e"}, "spec": {"type": "Exempt", "exempt": {}}}
    some = [_configuration("a", 20, type="Reject"), _configuration("b", 40, type="Reject"), exempt]
    found = levels([*some, _configuration("none", 0, type="Reject")])
    assert {name: level.limit for name, level in found.items()} == {
        "a": CONCURRENCY // 3,
        "b": CONCURRENCY * 2 // 3,
        "exempt": None,
        "none": 0,
    }
    assert found["exempt"].free and not found["none"].free


def _queued(limit: int, longest: int) -> Level:
    queuing = {"queues": 8, "handSize": 2, "queueLengthLimit": longest}
    level = levels([_configuration("a", 1, type="Queue", queuing=queuing)])["a"]
    level.limit = limit
    return level


def test_who_finds_no_seat_waits_and_a_flood_does_not_hold_others_back() -> None:
    async def run() -> None:
        level = _queued(1, 50)
        served: list[str] = []

        async def request(flow: str) -> None:
            assert await level.enter(flow)
            served.append(flow)
            await asyncio.sleep(0)
            level.leave()

        flood = [asyncio.ensure_future(request("flood")) for _ in range(60)]
        await asyncio.sleep(0)
        few = [asyncio.ensure_future(request(f"few-{number}")) for number in range(3)]
        await asyncio.gather(*flood, *few)
        assert level.used == 0
        assert max(served.index(f"few-{number}") for number in range(3)) < 40

    asyncio.run(run())


def test_a_full_queue_turns_away_and_a_wait_given_up_frees_its_seat() -> None:
    async def run() -> None:
        level = _queued(1, 1)
        assert await level.enter("a")
        waiting = [asyncio.ensure_future(level.enter("a")) for _ in range(2)]
        await asyncio.sleep(0)
        assert not await level.enter("a")
        waiting[0].cancel()
        await asyncio.sleep(0)
        level.leave()
        assert await waiting[1]
        level.leave()
        assert level.used == 0 and level.free

    asyncio.run(run())


def test_metrics_tell_the_seats_of_every_level() -> None:
    told = FlowMetrics().families(lambda: [Level("some", "", 7), Level("exempt", "", None)], {})
    lines = Registry(told).text().decode().splitlines()
    assert 'apiserver_flowcontrol_nominal_limit_seats{priority_level="some"} 7' in lines
    assert 'apiserver_flowcontrol_nominal_limit_seats{priority_level="exempt"} 0' in lines


@pytest.mark.parametrize(
    ("level", "seconds", "why"),
    [
        (Level("a", "", 1), 0.0, "concurrency-limit"),
        (Level("a", "", 1, []), 0.0, "queue-full"),
        (Level("a", "", 1, []), 15.0, "time-out"),
    ],
)
def test_why_a_request_is_turned_away(level: Level, seconds: float, why: str) -> None:
    assert reason(level, seconds) == why


def _lending(name: str, shares: int, **limited: Any) -> Object:
    obj = _configuration(name, shares, type="Queue", queuing={"queues": 4, "handSize": 2, "queueLengthLimit": 9})
    obj["spec"]["limited"] |= limited
    return obj


def _joined(*configurations: Object) -> dict[str, Level]:
    found = levels(list(configurations))
    join(list(found.values()))
    return found


def test_a_level_borrows_what_others_lend_and_do_not_use() -> None:
    found = _joined(_lending("busy", 1), _lending("lender", 1, lendablePercent=50), _lending("miser", 1))
    busy, lender = found["busy"], found["lender"]
    seats = CONCURRENCY // 3
    busy.used = seats
    assert busy.free
    busy.used = seats + seats // 2
    assert not busy.free
    # The lender has his own all the same, and what he uses beyond what he keeps is not lent again.
    lender.used = seats - 1
    assert lender.free
    busy.used = seats + 1
    assert not busy.free


def test_how_much_is_borrowed_is_bounded() -> None:
    found = _joined(_lending("busy", 1, borrowingLimitPercent=10), _lending("lender", 1, lendablePercent=100))
    seats = CONCURRENCY // 2
    found["busy"].used = seats + seats // 10 - 1
    assert found["busy"].free
    found["busy"].used += 1
    assert not found["busy"].free
    jail = _joined(_lending("jail", 0), _lending("lender", 1, lendablePercent=100))["jail"]
    assert not jail.free


def test_a_seat_that_is_given_back_goes_to_who_may_borrow_it() -> None:
    async def run() -> None:
        found = _joined(_lending("busy", 1), _lending("lender", 1, lendablePercent=100))
        busy, lender = found["busy"], found["lender"]
        seats = CONCURRENCY // 2
        busy.used = lender.used = seats
        waiting = asyncio.ensure_future(busy.enter("a"))
        await asyncio.sleep(0)
        assert not waiting.done() and busy.pool.waiting == 1
        lender.leave()
        assert await waiting
        assert busy.used == seats + 1 and busy.pool.waiting == 0

    asyncio.run(run())
