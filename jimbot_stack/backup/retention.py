"""Which sets to keep: calendar rules over verified sets, the newest of them always."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set as retention sees it."""

    id: str
    created: datetime
    verified: bool


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

    Only verified sets count as kept by a rule. Kept beside them are the newest
    verified set, a set newer than it, and one whose date lies in the future.
    """
    found = sorted(candidates, key=lambda c: (c.created, c.id), reverse=True)
    present = [c for c in found if c.created <= now]
    verified = [c for c in present if c.verified]
    kept = {c.id: "its date lies in the future" for c in found if c.created > now}
    if not verified:
        return kept | {c.id: "no verified set is there" for c in present}
    kept[verified[0].id] = "the newest verified set"
    for candidate in present[: present.index(verified[0])]:
        kept[candidate.id] = "newer than any verified set"
    for number, kind, period in _periods(rules):
        for candidate in _newest_of_each(verified, period)[:number]:
            kept.setdefault(candidate.id, kind)
    return kept


def _periods(
    rules: Rules,
) -> tuple[tuple[int, str, Callable[[Candidate], object]], ...]:
    return (
        (rules.last, "one of the last", lambda c: c.id),
        (rules.daily, "daily", lambda c: c.created.astimezone().date()),
        (rules.weekly, "weekly", lambda c: c.created.astimezone().isocalendar()[:2]),
        (rules.monthly, "monthly", lambda c: _month(c.created)),
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
