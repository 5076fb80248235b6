"""Run checks: collect their facts, judge them, and report a crash as a finding."""

from collections.abc import Iterable, Sequence
from typing import Any

from compose_ops.doctor.collect import Collected, Missing, collect
from compose_ops.doctor.registry import CHECKS, Check
from compose_ops.verdicts import Row, Verdict, judged, skip

FACT_TOPIC = "facts"
RUN_AGAIN = "invoke doctor --verbose"


def examine(
    ids: Iterable[str],
    given: dict[str, Any],
    *,
    skipped: Sequence[str] = (),
    patience: float = 1.0,
) -> tuple[Row, ...]:
    """
    Return one row per check of *ids*, and one for each fact that crashed or was late.

    *given* has the values of `registry.GIVEN`, and of any fact that is known already.
    A fact is waited for *patience* times its limit.
    """
    chosen = [CHECKS[name] for name in ids]
    asked = [check for check in chosen if check.id not in skipped]
    needs = {need for check in asked for need in check.needs}
    collected = collect(needs, given, patience=patience)
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


def _absence(gap: Missing) -> str:
    return f"{gap.fact} is unknown" if gap.fault else gap.reason


def _crashes(collected: Collected) -> list[Row]:
    return [
        Row(
            f"fact-{gap.fact}",
            FACT_TOPIC,
            (
                Verdict(
                    gap.fault,
                    f"{gap.fact} could not be determined: {gap.reason}",
                    RUN_AGAIN,
                    about=gap.fact,
                ),
            ),
        )
        for name, gap in sorted(collected.missing.items())
        if gap.fault and gap.fact == name
    ]
