"""How many answers each version gave: the gateway's own counters, every second."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from compose_ops.errors import ComposeOpsError
from compose_ops.rollout.proxy.haproxy import HAProxy, Totals
from compose_ops.rollout.recording import Answers, Recorder

PERIOD = 1.0
MAX_REFUSALS = 3


@contextmanager
def counted(proxy: HAProxy | None, recorder: Recorder) -> Iterator[None]:
    """
    Record in the block what the gateway's counters say; nothing without a gateway.

    Best effort: where the gateway stops answering, nothing more is recorded.
    """
    if proxy is None:
        yield
        return
    ended = threading.Event()
    first: Mapping[str, Totals] = {}
    with suppress(ComposeOpsError):
        first = proxy.totals()
    counting = threading.Thread(
        target=lambda: _count(proxy.totals, first, recorder, ended), daemon=True
    )
    counting.start()
    try:
        yield
    finally:
        ended.set()
        counting.join()


def _count(
    ask: Callable[[], Mapping[str, Totals]],
    before: Mapping[str, Totals],
    recorder: Recorder,
    ended: threading.Event,
) -> None:
    refusals, since = 0, recorder.passed
    while refusals < MAX_REFUSALS and not ended.wait(PERIOD):
        try:
            found = ask()
        except Exception:  # noqa: BLE001 - what is not counted stops no update
            refusals += 1
            continue
        refusals = 0
        if before:
            got = difference(before, found, recorder.admitted)
            recorder.answered(since, got)
        before, since = found, recorder.passed


def difference(
    before: Mapping[str, Totals], now: Mapping[str, Totals], new: set[str]
) -> Answers:
    """
    Return what came between two readings; *new* are addresses of the new version.

    A server that was not there before, or whose counters began anew, counts from 0.
    """
    found = Answers()
    for name, total in now.items():
        last = before.get(name)
        begun = last is None or last.answers > total.answers
        answers = total.answers - (0 if begun or last is None else last.answers)
        failed = max(total.failed - (0 if begun or last is None else last.failed), 0)
        is_new = total.address in new
        found = found.with_(
            Answers(0, answers, 0, failed) if is_new else Answers(answers, 0, failed, 0)
        )
    return found
