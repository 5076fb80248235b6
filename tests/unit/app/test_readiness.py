"""Every dependency is asked at once, and none can hold up the answer."""

import asyncio
import time

from jimbot.readiness import Question, ask_all, reason

LIMIT = 0.1


async def _up() -> None:
    await asyncio.sleep(0)


async def _down() -> None:
    raise ConnectionRefusedError("refused\nsecond line")


async def _frozen() -> None:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            # As a client does whose clean-up waits for the frozen server.
            await asyncio.sleep(LIMIT * 3)
            raise


def test_each_answer_stands_beside_its_name() -> None:
    asked = {"up": Question(_up, LIMIT), "down": Question(_down, LIMIT)}

    answers = asyncio.run(ask_all(asked))

    assert answers["up"].up
    assert answers["up"].reason is None
    assert not answers["down"].up
    assert answers["down"].reason == "ConnectionRefusedError: refused"


def test_frozen_dependencies_cost_one_limit_together() -> None:
    async def measured() -> float:
        start = time.perf_counter()
        answers = await ask_all({str(n): Question(_frozen, LIMIT) for n in range(5)})
        assert {a.reason for a in answers.values()} == {"no answer within 0.1 s"}
        assert all(a.latency_ms >= LIMIT * 1000 for a in answers.values())
        return time.perf_counter() - start

    assert asyncio.run(measured()) < LIMIT * 2


def test_reason_of_a_quoted_traceback_is_its_last_line() -> None:
    text = "Failed:\nTraceback (most recent call last):\n  File x\nValueError: why"

    assert reason(RuntimeError(text)) == "RuntimeError: ValueError: why"
    assert reason(RuntimeError()) == "RuntimeError: no details"


def test_reason_tells_what_began_it() -> None:
    error = RuntimeError("no connection")
    error.__cause__ = OSError("certificate verify failed")

    assert (
        reason(error)
        == "RuntimeError: no connection (OSError: certificate verify failed)"
    )
