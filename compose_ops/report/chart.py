"""Charts as SVG: bands, bars and lines over one axis, told apart without colour."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from compose_ops.redaction import clean
from compose_ops.report.html import node

WIDTH, LEFT, RIGHT = 960.0, 150.0, 80.0
BAND, GAP, FOOT, TOP = 22.0, 6.0, 24.0, 22.0
HEIGHT = 150.0
# How wide a letter of a label is, about, and how high a line.
LETTER, LINE = 6.6, 14
STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """Where a value between *low* and *high* stands across a chart."""

    low: float
    high: float

    def x(self, value: float) -> float:
        share = (value - self.low) / max(self.high - self.low, 1e-9)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)


@dataclass(frozen=True, slots=True)
class Band:
    """A time in a lane; `kind` is the class of its look, `more` is told on hover."""

    start: float
    end: float
    text: str
    kind: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """Parts that stand on each other at a place: class of each, and its height."""

    start: float
    end: float
    parts: Sequence[tuple[str, float]]
    more: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points; None is where nothing was measured."""

    label: str
    kind: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign above a chart: a cross, a triangle, a circle or a full one."""

    at: float
    sign: str
    text: str
    more: str


def lanes(
    axis: Axis, named: Sequence[tuple[str, Sequence[Band]]], label: str
) -> ET.Element:
    """Return one lane of bands for each name, above the axis of seconds."""
    height = len(named) * (BAND + GAP) + FOOT
    found: list[ET.Element] = []
    for number, (name, bands) in enumerate(named):
        y = number * (BAND + GAP)
        found.append(_text(LEFT - 8, y + 15, _short(name, LEFT - 12), "end", name))
        found.append(_line(LEFT, y + BAND, WIDTH - RIGHT, y + BAND))
        found += [_band(axis, band, y) for band in bands]
    return _svg(height, label, *found, *_seconds(axis, height))


def bars(
    axis: Axis,
    columns: Sequence[Bar],
    label: str,
    *,
    unit: str,
    marks: Sequence[Mark] = (),
    rules: Sequence[float] = (),
    foot: Sequence[ET.Element] | None = None,
) -> ET.Element:
    """Return columns of stacked parts, with *marks* above and *rules* across."""
    ceiling = nice(max([1.0, *(sum(v for _, v in c.parts) for c in columns)]))
    found = [*_grid(ceiling, unit), *_rules(axis, rules)]
    for column in columns:
        level = 0.0
        x, end = axis.x(column.start), axis.x(column.end)
        for kind, value in column.parts:
            top, bottom = _y(level + value, ceiling), _y(level, ceiling)
            level += value
            if value:
                part = _rectangle(x, top, max(end - x - 1, 1), bottom - top, kind)
                part.append(node("title", column.more))
                found.append(part)
    found += [_mark(axis, mark) for mark in marks]
    height = TOP + HEIGHT + FOOT
    return _svg(height, label, *found, *(foot or _seconds(axis, height)))


def lines(
    axis: Axis,
    drawn: Sequence[Line],
    label: str,
    *,
    unit: str,
    rules: Sequence[float] = (),
) -> ET.Element:
    """Return lines, each with its label at its right end; the highest comes first."""
    values = [v for line in drawn for _, v in line.points if v is not None]
    ceiling = nice(max([1.0, *values]))
    found = [*_grid(ceiling, unit), *_rules(axis, rules)]
    taken: list[float] = []
    for above, line in reversed([*enumerate(drawn)]):
        path, last = _path(axis, line, ceiling)
        if path:
            found.append(node("path", d=path, class_=f"line {line.kind}"))
            y = max(last, TOP + LINE * above)
            while any(abs(y - other) < LINE for other in taken):
                y -= LINE
            taken.append(y)
            found.append(_text(WIDTH - RIGHT + 6, y + 4, line.label, ""))
    height = TOP + HEIGHT + FOOT
    return _svg(height, label, *found, *_seconds(axis, height))


def legend(entries: Sequence[tuple[str, str]]) -> ET.Element:
    """
    Return what the looks of bars and bands mean: pairs of class and text.

    A page with hatched ones has one: it brings their pattern.
    """
    pattern = node(
        "pattern",
        node("path", d="M0 0H6", class_="hatch"),
        id="hatch",
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
    x, found = 0.0, [node("defs", pattern)]
    for kind, text in entries:
        found.append(_rectangle(x + 1, 2, 26, 14, kind))
        found.append(_text(x + 34, 14, text, ""))
        x += 34 + len(text) * LETTER + 24
    return _svg(20, "legend", *found)


def at(
    axis: Axis, height: float, labels: Sequence[tuple[float, str]]
) -> list[ET.Element]:
    """Return labels below a chart, those left out that would stand in another."""
    found, free = list[ET.Element](), 0.0
    for place, text in labels:
        x, half = axis.x(place), len(text) * LETTER / 2
        if x - half >= free:
            found.append(_text(x, height - 6, text, "soft middle"))
            free = x + half + 8
    return found


def nice(value: float) -> float:
    """
    Return the end of an axis that holds *value*.

    >>> nice(61), nice(3.1)
    (80.0, 4.0)
    """
    scale = 1.0
    while value > 10 * scale:
        scale *= 10
    while value < scale:
        scale /= 10
    return next(step * scale for step in STEPS if value <= step * scale)


def _svg(height: float, label: str, *content: ET.Element) -> ET.Element:
    box = f"0 0 {WIDTH:.0f} {height:.0f}"
    drawing = node(
        "svg",
        node("title", label),
        *content,
        viewBox=box,
        role="img",
        aria_label=label,
    )
    return node("div", drawing, class_="wide")


def _band(axis: Axis, band: Band, y: float) -> ET.Element:
    x = axis.x(band.start)
    width = max(axis.x(band.end) - x, 2.0)
    fits = len(band.text) * LETTER + 8 <= width
    told = f"{band.text}: {band.start:.1f} to {band.end:.1f} s {band.more}".strip()
    found = node("g", node("title", told), _rectangle(x, y, width, BAND, band.kind))
    if fits:
        back = len(band.text) * LETTER + 6
        middle = x + width / 2
        found.append(_rectangle(middle - back / 2, y + 3, back, BAND - 6, "plate"))
        found.append(_text(middle, y + 15, band.text, "middle"))
    return found


def _mark(axis: Axis, mark: Mark) -> ET.Element:
    x, y = axis.x(mark.at), TOP - 8
    shapes = {
        "cross": ("bad", f"M{x - 4:.1f} {y - 4}l8 8m0 -8l-8 8"),
        "triangle": ("mark", f"M{x - 5:.1f} {y - 4}h10l-5 9z"),
        "circle": ("mark", _circle(x, y)),
        "full": ("mark full", _circle(x, y)),
    }
    kind, path = shapes[mark.sign]
    found = node("g", node("title", mark.more), node("path", d=path, class_=kind))
    if mark.text:
        found.append(_text(x + 7, y + 4, mark.text, "bad" if kind == "bad" else ""))
    return found


def _circle(x: float, y: float) -> str:
    return f"M{x - 4:.1f} {y}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z"


def _path(axis: Axis, line: Line, ceiling: float) -> tuple[str, float]:
    """Return the path of a line, broken where nothing was measured, and its last y."""
    words, joined, last = list[str](), False, 0.0
    for place, value in line.points:
        if value is not None:
            last = _y(value, ceiling)
            words.append(f"{'L' if joined else 'M'}{axis.x(place):.1f} {last:.1f}")
        joined = value is not None
    if len(words) == 1:
        words.append("h1")
    return "".join(words), last


def _grid(ceiling: float, unit: str) -> Iterator[ET.Element]:
    for share in (0.0, 0.5, 1.0):
        y = _y(ceiling * share, ceiling)
        yield _line(LEFT, y, WIDTH - RIGHT, y)
        yield _text(LEFT - 8, y + 4, f"{ceiling * share:g} {unit}", "soft end")


def _rules(axis: Axis, places: Sequence[float]) -> Iterator[ET.Element]:
    for place in places:
        x = axis.x(place)
        rule = _line(x, TOP, x, TOP + HEIGHT)
        rule.set("class", "rule dashed")
        yield rule


def _seconds(axis: Axis, height: float) -> list[ET.Element]:
    step = nice((axis.high - axis.low) / 8)
    count = int((axis.high - axis.low) / step)
    places = [axis.low + n * step for n in range(count + 1)]
    return at(axis, height, [(place, f"{place:g} s") for place in places])


def _y(value: float, ceiling: float) -> float:
    return TOP + HEIGHT * (1 - value / ceiling)


def _rectangle(
    x: float, y: float, width: float, height: float, kind: str
) -> ET.Element:
    return node("rect", x=x, y=y, width=width, height=height, class_=kind)


def _line(x: float, y: float, to_x: float, to_y: float) -> ET.Element:
    return node("line", x1=x, y1=y, x2=to_x, y2=to_y, class_="rule")


def _text(x: float, y: float, text: str, kind: str, full: str = "") -> ET.Element:
    more = node("title", full) if full and full != text else None
    return node("text", text, more, x=x, y=y, class_=kind or None)


def _short(text: str, width: float) -> str:
    """Return the end of a text that fits; a secret is redacted while it is whole."""
    text, most = clean(text), int(width / LETTER)
    return text if len(text) <= most else f"…{text[-most + 1 :]}"
