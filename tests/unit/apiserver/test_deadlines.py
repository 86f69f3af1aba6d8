"""Requests end at the server's limit, and only for that reason with a 504."""

from __future__ import annotations

import asyncio

import pytest

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.deadlines import Deadlines, keep_within
from knarr.apiserver.request import Response


async def _never() -> Response:
    await asyncio.Event().wait()
    raise AssertionError


async def _at_once() -> Response:
    return Response()


def test_what_takes_too_long_is_ended_by_the_sweep_and_nothing_else_is() -> None:
    async def main() -> None:
        deadlines = Deadlines(seconds=0.02, sweep=0.01)
        assert (await deadlines.keep(_at_once())).status == 200
        late = [asyncio.ensure_future(deadlines.keep(_never())) for _ in range(3)]
        for task in late:
            with pytest.raises(StatusError) as error:
                await task
            assert error.value.code == 504
        # The task goes on after its request was ended.
        with pytest.raises(StatusError):
            await deadlines.keep(_never())
        await asyncio.sleep(0)

    asyncio.run(main())


def test_who_is_cancelled_otherwise_is_cancelled() -> None:
    async def main() -> None:
        deadlines = Deadlines()
        task = asyncio.ensure_future(deadlines.keep(_never()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_time_of_its_own_is_kept() -> None:
    with pytest.raises(StatusError):
        asyncio.run(keep_within(0.01, _never()))
    assert asyncio.run(keep_within(1, _at_once())).status == 200
