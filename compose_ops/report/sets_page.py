"""The page of a project's backup sets: size, downtime, verified and proven, in time."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from compose_ops.backup.repository import BackupSet
from compose_ops.report import chart
from compose_ops.report.chart import Axis, Bar, Mark
from compose_ops.report.html import Child, facts, node, page, rows
from compose_ops.units import readable_duration, readable_size

MOST = 400
PROVEN = "proven"
SCALES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


def sets_page(
    project: str, dest: object, found: Sequence[BackupSet], *, now: datetime
) -> str:
    """Return the page of a project's sets in *dest*; *found* has the newest first."""
    title = f"Backups of {project}"
    told = f"{dest}, as of {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    body: list[Child] = [node("h1", title), node("p", told, class_="soft")]
    body.append(facts(_sums(found, now)))
    whole = [one for one in reversed(found[:MOST]) if one.manifest]
    if whole:
        body += _charts(whole)
    body += [node("h2", "Sets"), rows(*_table(found))]
    return page(title, *body)


def _sums(found: Sequence[BackupSet], now: datetime) -> list[tuple[str, str]]:
    good = [one for one in found if one.manifest and one.verified]
    newest = [one.manifest.created_at for one in good if one.manifest]
    proven = [one.drilled for one in found if one.drilled and _is_proven(one)]
    size = sum(one.manifest.size for one in found if one.manifest)
    return [
        ("sets", str(len(found))),
        ("damaged or unreadable", str(sum(bool(one.fault) for one in found))),
        ("size of all", readable_size(size)),
        ("newest verified", _ago(next(iter(newest), None), now)),
        ("last good drill", _ago(max(proven, default=None), now)),
    ]


def _charts(whole: Sequence[BackupSet]) -> Iterator[Child]:
    axis = Axis(0.0, float(max(len(whole), 12)))
    labels = [(n + 0.5, _day(one)) for n, one in enumerate(whole)]
    foot = chart.at(axis, chart.TOP + chart.HEIGHT + chart.FOOT, labels)
    sizes = [one.manifest.size if one.manifest else 0 for one in whole]
    size, unit = next((s, u) for s, u in SCALES if max(sizes) >= s or s == 1)
    columns = [
        Bar(n + 0.15, n + 0.85, [("bar-old", amount / size)], _told(one))
        for n, (one, amount) in enumerate(zip(whole, sizes, strict=True))
    ]
    yield node("h2", "Size")
    told = (
        "Each set, oldest first. ○ verified, ● proven by a drill, ✕ damaged or failed "
        "in one."
    )
    drawn = chart.bars(
        axis, columns, told, unit=unit, marks=list(_marks(whole)), foot=foot
    )
    yield node("figure", node("figcaption", told), drawn)
    downtimes = [one.manifest.downtime if one.manifest else None for one in whole]
    if not any(one is not None for one in downtimes):
        return
    columns = [
        Bar(n + 0.15, n + 0.85, [("bar-old", seconds or 0.0)], _told(one))
        for n, (one, seconds) in enumerate(zip(whole, downtimes, strict=True))
    ]
    yield node("h2", "Downtime")
    told = (
        "From when the first service was stopped or paused for the set until all were "
        "healthy again; 0 where all ran on."
    )
    drawn = chart.bars(
        axis,
        columns,
        told,
        unit="s",
        foot=chart.at(axis, chart.TOP + chart.HEIGHT + chart.FOOT, labels),
    )
    yield node("figure", node("figcaption", told), drawn)


def _marks(whole: Sequence[BackupSet]) -> Iterator[Mark]:
    for n, one in enumerate(whole):
        sign = "full" if _is_proven(one) else "circle" if one.verified else ""
        if one.fault or _failed_drill(one):
            sign = "cross"
        if sign:
            yield Mark(n + 0.5, sign, "", _told(one))


def _table(found: Sequence[BackupSet]) -> tuple[list[str], list[list[str]]]:
    head = ["set", "taken (UTC)", "holds", "size", "downtime", "verified", "proven"]
    return head, [
        [
            one.id,
            _time(one.manifest.created_at if one.manifest else None),
            one.fault or _stores(one),
            readable_size(one.manifest.size) if one.manifest else "?",
            _downtime(one),
            _time(one.verified) or "no",
            _failed_drill(one) or _proven(one),
        ]
        for one in found
    ]


def _stores(one: BackupSet) -> str:
    stores = one.manifest.stores if one.manifest else ()
    kept = ", ".join(f"{store.service} ({store.consistency})" for store in stores)
    sealed = ", encrypted" if one.manifest and one.manifest.encrypted else ""
    return f"{kept}{sealed}"


def _downtime(one: BackupSet) -> str:
    seconds = one.manifest.downtime if one.manifest else None
    return "not recorded" if seconds is None else f"{seconds:.1f} s"


def _failed_drill(one: BackupSet) -> str:
    """Return how the last drill failed, "" where it did not."""
    if not one.drill:
        return ""
    at = datetime.fromisoformat(one.drill["at"])
    if one.drilled and at <= one.drilled:
        return ""
    return f"drill failed {_time(at)}: {one.drill['result']}"


def _is_proven(one: BackupSet) -> bool:
    return bool(one.drilled and one.drill and one.drill["result"] == PROVEN)


def _proven(one: BackupSet) -> str:
    """Return when the last drill was and what it showed, of one that did not fail."""
    if _is_proven(one) or not one.drilled or not one.drill:
        return _time(one.drilled) or "never"
    return f"{_time(one.drilled)}: {one.drill['result']}"


def _told(one: BackupSet) -> str:
    size = readable_size(one.manifest.size) if one.manifest else ""
    proven = _failed_drill(one) or f"proven: {_proven(one)}"
    words = [one.id, size, f"downtime {_downtime(one)}", one.fault]
    words += [f"verified {_time(one.verified) or 'never'}", proven]
    return ", ".join(filter(None, words))


def _day(one: BackupSet) -> str:
    return f"{one.manifest.created_at:%m-%d}" if one.manifest else ""


def _time(time: datetime | None) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}" if time else ""


def _ago(time: datetime | None, now: datetime) -> str:
    if time is None:
        return "none"
    return f"{readable_duration((now - time).total_seconds())} ago"
