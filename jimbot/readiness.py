"""Asking every dependency at once, each with a time limit of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Callable, NamedTuple


class Question(NamedTuple):
    """How to ask a dependency (raises when it is down) and for how many seconds."""

    ask: Callable[[], Awaitable[None]]
    limit: float


@dataclass(frozen=True)
class Answer:
    """What a dependency's question came to; *reason* is None when it is up."""

    latency_ms: float
    reason: str | None = None

    @property
    def up(self) -> bool:
        """Whether the dependency answered in time."""
        return self.reason is None


async def ask_all(questions: Mapping[str, Question]) -> Mapping[str, Answer]:
    """Return each dependency's answer, after the longest limit at the latest."""
    answers = await asyncio.gather(*map(_answer, questions.values()))
    return dict(zip(questions, answers))


async def _answer(question: Question) -> Answer:
    start = time.perf_counter()
    task = asyncio.ensure_future(question.ask())
    # Not wait_for: that would also wait for the cancelled question to clean up,
    # which a frozen server can hold up for ever.
    await asyncio.wait({task}, timeout=question.limit)
    latency_ms = round((time.perf_counter() - start) * 1000, 1)
    if not task.done():
        task.add_done_callback(_error)
        task.cancel()
        return Answer(latency_ms, f"no answer within {question.limit:g} s")
    error = _error(task)
    return Answer(latency_ms, reason(error) if error else None)


def reason(error: BaseException) -> str:
    """Return in one line what *error* says, and what began it where that differs."""
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    return _line(error) if root is error else f"{_line(error)} ({_line(root)})"


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or ["no details"]
    # A text that quotes a traceback tells at its end what happened.
    told = lines[-1] if "Traceback (most recent call last):" in lines else lines[0]
    return f"{type(error).__name__}: {told}"


def _error(task: asyncio.Future[None]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()
