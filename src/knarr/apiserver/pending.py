"""Answers that somebody else must give, for code that does not wait.

Authentication and authorization decide at once, in the middle of other work. Where a webhook or an identity provider
has to be asked first they raise `Pending`; whoever can wait then awaits `ask` and begins again, and finds the answer.
Nothing has been written by then: a write comes after all questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
#: What the request at hand has been answered already, whatever is remembered of it.
_ANSWERS: ContextVar[dict[Any, Any] | None] = ContextVar("answers", default=None)
_REMEMBERED = 4096


class Pending(Exception):
    """Somebody must be asked: await `ask`, and begin again."""

    def __init__(self, ask: Callable[[], Awaitable[None]]) -> None:
        super().__init__("an answer is awaited")
        self.ask = ask


@contextmanager
def waiting() -> Iterator[None]:
    """Keep the answers that are awaited within, until its end."""
    token = _ANSWERS.set({})
    try:
        yield
    finally:
        _ANSWERS.reset(token)


class Answers(Generic[K, V]):
    """What somebody answers to questions, remembered for a while. The same question is asked once at a time."""

    def __init__(self, keep: Callable[[V], float], clock: Clock, tasks: Tasks) -> None:
        """`keep` tells for how many seconds an answer is remembered."""
        self._keep = keep
        self._clock = clock
        self._tasks = tasks
        self._kept: dict[K, tuple[V, float]] = {}
        self._asked: dict[K, asyncio.Task[V]] = {}

    def get(self, question: K, ask: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The answer. Raises `Pending` when there is none yet; `ask`, which raises nothing, gives it then."""
        kept = self._kept.get(question)
        if kept is not None and self._clock.monotonic() < kept[1]:
            return kept[0]
        answers = _ANSWERS.get()
        if answers is not None and (self, question) in answers:
            found: V = answers[self, question]
            return found
        raise Pending(lambda: self._fetch(question, ask))

    def forget(self) -> None:
        """Ask anew from now on."""
        self._kept.clear()

    async def _fetch(self, question: K, ask: Callable[[], Coroutine[Any, Any, V]]) -> None:
        task = self._asked.get(question)
        if task is None:
            task = self._asked[question] = self._tasks.start(ask(), "question")
            task.add_done_callback(lambda _: self._asked.pop(question, None))
        # Who gives up must not take the answer from the others.
        answer = await asyncio.shield(task)
        answers = _ANSWERS.get()
        if answers is not None:
            answers[self, question] = answer
        seconds = self._keep(answer)
        if seconds > 0:
            if len(self._kept) >= _REMEMBERED:
                self._kept.clear()
            self._kept[question] = (answer, self._clock.monotonic() + seconds)
