"""Collect facts in parallel, each at most once and each within its limit."""

import queue
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from compose_ops.doctor.registry import FACTS, Fact, NotMeasuredError, closure
from compose_ops.errors import ComposeOpsError


@dataclass(frozen=True, slots=True)
class Missing:
    """
    A fact that is missing.

    `fault` is empty where it cannot be measured here, else crashed: the collector
    failed, or warn: it took too long, as it may on a busy engine.
    """

    fact: str
    reason: str
    fault: str = ""


@dataclass
class Collected:
    """Values and gaps by fact, and the seconds that each took."""

    values: dict[str, Any]
    missing: dict[str, Missing] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def is_settled(self, name: str) -> bool:
        return name in self.values or name in self.missing

    def gap(self, needs: Iterable[str]) -> Missing | None:
        """Return the first gap among *needs*."""
        return next((self.missing[n] for n in needs if n in self.missing), None)


Finished = queue.SimpleQueue[tuple[str, Any, Missing | None]]


def collect(
    names: Iterable[str], given: Mapping[str, Any], *, patience: float = 1.0
) -> Collected:
    """
    Collect the facts *names* and those that they need; *given* are known already.

    Each is waited for *patience* times its limit.
    """
    collected = Collected(dict(given))
    waiting = {n for n in closure(names) if not collected.is_settled(n)}
    begun: dict[str, float] = {}
    finished: Finished = queue.SimpleQueue()
    while waiting or begun:
        _start_ready(waiting, begun, collected, finished)
        if begun:
            _settle_next(begun, collected, finished, patience)
    return collected


def _start_ready(
    waiting: set[str],
    begun: dict[str, float],
    collected: Collected,
    finished: Finished,
) -> None:
    for name in sorted(waiting):
        known = FACTS[name]
        gap = collected.gap(known.needs)
        if gap is not None:
            waiting.discard(name)
            collected.missing[name] = Missing(gap.fact, gap.reason)
        elif all(map(collected.is_settled, known.needs)):
            waiting.discard(name)
            begun[name] = time.monotonic()
            values = {need: collected.values[need] for need in known.needs}
            threading.Thread(
                target=_collect_one, args=(known, values, finished), daemon=True
            ).start()


def _settle_next(
    begun: dict[str, float],
    collected: Collected,
    finished: Finished,
    patience: float,
) -> None:
    limits = {name: FACTS[name].limit * patience for name in begun}
    ends = {name: start + limits[name] for name, start in begun.items()}
    first = min(ends, key=lambda name: ends[name])
    try:
        wait = max(0.0, ends[first] - time.monotonic())
        name, value, missing = finished.get(timeout=wait)
    except queue.Empty:
        late = f"it took longer than {limits[first]:g} s"
        name, value, missing = first, None, Missing(first, late, "warn")
    start = begun.pop(name, None)
    if start is None:
        return
    collected.seconds[name] = time.monotonic() - start
    if missing is not None:
        collected.missing[name] = missing
    else:
        collected.values[name] = value


def _collect_one(known: Fact, values: Mapping[str, Any], finished: Finished) -> None:
    try:
        finished.put((known.name, known.collect(**values), None))
    except NotMeasuredError as reason:
        finished.put((known.name, None, Missing(known.name, str(reason))))
    except ComposeOpsError as refused:
        finished.put((known.name, None, Missing(known.name, refused.message)))
    except Exception as fault:  # noqa: BLE001 - a crash of one fact is a finding
        crash = Missing(known.name, f"{type(fault).__name__}: {fault}", "crashed")
        finished.put((known.name, None, crash))
