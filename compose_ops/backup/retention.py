"""Which sets to keep, for each service: by calendar rules, and its newest always."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A set as retention sees it; `services` are those whose data it holds.

    The newest is that of the highest `sequence`: a clock may have been wrong.
    """

    id: str
    created: datetime
    verified: bool
    services: frozenset[str] = frozenset()
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """How many to keep of each kind; 0 means that the kind keeps none."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    @property
    def keep_nothing(self) -> bool:
        return not (self.last or self.daily or self.weekly or self.monthly)


def reasons(
    candidates: Iterable[Candidate], rules: Rules, *, now: datetime
) -> dict[str, str]:
    """
    Return why each kept set is kept, by id; what is not in it may go.

    The rules hold for each service of its own, so that many sets of one never push out
    the few of another. Only verified sets count as kept by a rule. Kept beside them are
    a service's newest verified set, a set newer than it, and one whose date lies in the
    future.
    """
    found = sorted(
        candidates, key=lambda c: (c.sequence, c.created, c.id), reverse=True
    )
    kept = {c.id: "its date lies in the future" for c in found if c.created > now}
    present = [c for c in found if c.created <= now]
    for service in sorted({name for c in present for name in c.services or {""}}):
        holding = [c for c in present if service in (c.services or {""})]
        for set_id, why in _of_one(holding, rules).items():
            kept.setdefault(set_id, f"{why} of {service}" if service else why)
    return kept


def _of_one(holding: list[Candidate], rules: Rules) -> dict[str, str]:
    """Return why the sets of one service, newest first, are kept."""
    verified = [c for c in holding if c.verified]
    if not verified:
        return {c.id: "no verified set is there" for c in holding}
    kept = {verified[0].id: "the newest verified set"}
    for candidate in holding[: holding.index(verified[0])]:
        kept[candidate.id] = "newer than any verified set"
    for number, kind, period in _periods(rules):
        for candidate in _newest_of_each(verified, period)[:number]:
            kept.setdefault(candidate.id, kind)
    return kept


def _periods(
    rules: Rules,
) -> tuple[tuple[int, str, Callable[[Candidate], object]], ...]:
    return (
        (rules.last, "one of the last sets", lambda c: c.id),
        (rules.daily, "daily set", lambda c: c.created.astimezone().date()),
        (
            rules.weekly,
            "weekly set",
            lambda c: c.created.astimezone().isocalendar()[:2],
        ),
        (rules.monthly, "monthly set", lambda c: _month(c.created)),
    )


def _month(moment: datetime) -> tuple[int, int]:
    local = moment.astimezone()
    return local.year, local.month


def _newest_of_each(
    candidates: Iterable[Candidate], period: Callable[[Candidate], object]
) -> list[Candidate]:
    first: dict[object, Candidate] = {}
    for candidate in candidates:
        first.setdefault(period(candidate), candidate)
    return list(first.values())
