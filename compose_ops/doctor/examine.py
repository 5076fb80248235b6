"""Run checks: collect what they need, judge, and keep a crash as a finding."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from compose_ops.doctor.collect import Collected, Missing, collect
from compose_ops.doctor.registry import CHECKS, Check
from compose_ops.doctor.verdict import Row, Verdict, skip, unprefixed

FACT_TOPIC = "facts"
LOOK_AGAIN = "invoke doctor --verbose"


def examine(
    ids: Iterable[str], given: dict[str, Any], *, skipped: Sequence[str] = ()
) -> tuple[Row, ...]:
    """
    Return one row per check of *ids*, and one for each fact that crashed or was late.

    *given* has the values of `registry.GIVEN`, and of any fact that is known already.
    """
    chosen = [CHECKS[name] for name in ids]
    asked = [check for check in chosen if check.id not in skipped]
    needs = {need for check in asked for need in check.needs}
    collected = collect(needs, given)
    rows = [
        _row(check, collected)
        if check in asked
        else Row(check.id, check.topic, (skip("left out with --skip"),))
        for check in chosen
    ]
    return (*rows, *_crashes(collected))


def _row(check: Check, collected: Collected) -> Row:
    seconds = max((collected.seconds.get(n, 0.0) for n in check.needs), default=0.0)
    gap = collected.gap(check.needs)
    if gap is not None:
        return Row(check.id, check.topic, (skip(_absence(gap)),), seconds=seconds)
    values = {name: collected.values[name] for name in check.needs}
    return Row(check.id, check.topic, judged(check.judge, values), seconds=seconds)


def judged(
    judge: Callable[..., Iterable[Verdict]], values: Mapping[str, Any]
) -> tuple[Verdict, ...]:
    """Return the verdicts of a judgement, a crashed one where it raises."""
    try:
        found = tuple(judge(**values))
    except Exception as fault:  # noqa: BLE001 - a crash of one check is a finding
        told = f"the check broke: {type(fault).__name__}: {fault}"
        return (Verdict("crashed", told),)
    if os.geteuid() != 0:
        return found
    return tuple(replace(one, repair=unprefixed(one.repair)) for one in found)


def _absence(gap: Missing) -> str:
    return f"{gap.fact} is not known" if gap.fault else gap.reason


def _crashes(collected: Collected) -> list[Row]:
    return [
        Row(
            f"fact-{gap.fact}",
            FACT_TOPIC,
            (
                Verdict(
                    gap.fault,
                    f"{gap.fact} could not be found out: {gap.reason}",
                    LOOK_AGAIN,
                    about=gap.fact,
                ),
            ),
        )
        for name, gap in sorted(collected.missing.items())
        if gap.fault and gap.fact == name
    ]
