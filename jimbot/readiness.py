"""Asking every dependency at once, each with a time limit of its own."""

import asyncio
import time
from dataclasses import dataclass
from typing import Awaitable, Callable, Mapping, NamedTuple, Optional


class Question(NamedTuple):
    """How to ask a dependency (raises when it is down) and for how many seconds."""

    ask: Callable[[], Awaitable[None]]
    limit: float


@dataclass(frozen=True)
class Answer:
    """What a dependency's question came to; *reason* is None when it is up."""

    latency_ms: float
    reason: Optional[str] = None

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
    if task.done():
        return Answer(latency_ms, _reason(task))
    task.add_done_callback(_reason)
    task.cancel()
    return Answer(latency_ms, f"no answer within {question.limit:g} s")


def _reason(task: "asyncio.Future[None]") -> Optional[str]:
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    if error is None:
        return None
    first_line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else repr(error)
