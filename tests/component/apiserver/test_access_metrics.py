"""Who was let in and who might: what `/metrics` tells of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.component.apiserver.test_authorization import guarded, outcome
from tests.component.apiserver.world import World, running

from knarr.api import registry
from knarr.apimachinery.errors import StatusError


def counted(world: World, start: str) -> dict[str, float]:
    """Samples whose names begin so."""
    lines = world.api.ctx.metrics.registry.text().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line.startswith(start))}


def test_attempts_are_counted_by_their_result(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            before = {start: counted(world, start) for start in ("authentication_", "authorization_", "authenticated_")}
            with pytest.raises(StatusError):
                await world.bearer("forged").get(registry.NAMESPACES, "default")
            for _ in range(2):
                with pytest.raises(StatusError):
                    await world.client("jane@example.com").get(registry.NAMESPACES, "default")
            await world.client().get(registry.NAMESPACES, "default")

            def more(start: str, name: str) -> float:
                return counted(world, start).get(name, 0) - before[start].get(name, 0)

            assert more("authentication_", 'authentication_attempts{result="error"}') == 1
            assert more("authentication_", 'authentication_attempts{result="success"}') == 3
            assert more("authentication_", 'authentication_duration_seconds_count{result="success"}') == 3
            assert more("authenticated_", 'authenticated_user_requests{username="email_id"}') == 2
            assert more("authenticated_", 'authenticated_user_requests{username="admin"}') == 1
            assert more("authorization_", 'authorization_attempts_total{result="no-opinion"}') == 2
            assert more("authorization_", 'authorization_attempts_total{result="allowed"}') == 1

    asyncio.run(main())


def test_the_time_that_a_webhook_takes_counts(tmp_path: Path) -> None:
    async def main() -> None:
        async with guarded(tmp_path, timeout="300ms") as (world, _, _):
            assert (await outcome(world.client("jane", "dev"), "slow"))[0] == 500
            found = counted(world, "authorization_duration_seconds_sum")
            assert found['authorization_duration_seconds_sum{result="error"}'] >= 0.3

    asyncio.run(main())
