"""JSON into frozen dataclasses, and back: whatever has another type is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")

MAX_SHOWN = 40
MAX_NUMBER = 1 << 63
FIRST_YEAR, LAST_YEAR = 1970, 9000


def decode(value: Any, kind: type[T]) -> T:
    """
    Return *value*, as JSON holds it, as a *kind*.

    A kind is a dataclass, `str`, `int`, `float`, `bool`, `Path`, `None`, `Any`, a
    union, or a tuple, list, dict, Sequence or Mapping of kinds. Raises ValueError,
    which names the place.

    >>> decode(["a", "b"], tuple[str, ...])
    ('a', 'b')
    """
    return cast("T", _decoded(value, kind, "it"))


def _decoded(value: Any, kind: Any, where: str) -> Any:  # noqa: PLR0911
    origin = get_origin(kind)
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _dataclass(value, kind, where)
    if origin in {Union, UnionType}:
        return _union(value, get_args(kind), where)
    if origin in {tuple, list, Sequence}:
        items = _checked(list(value) if type(value) is tuple else value, list, where)
        found = [
            _decoded(item, get_args(kind)[0], f"{where}[{number}]")
            for number, item in enumerate(items)
        ]
        return found if origin is list else tuple(found)
    if origin in {dict, Mapping}:
        entries = _checked(value, dict, where)
        of = get_args(kind)[1]
        return {k: _decoded(entry, of, f"{where}.{k}") for k, entry in entries.items()}
    if kind is Path:
        return Path(_checked(value, str, where))
    if kind is float and type(value) is int:
        return float(_checked(value, int, where))
    return _checked(value, NoneType if kind is None else kind, where)


def _dataclass(value: Any, kind: Any, where: str) -> Any:
    given = _checked(value, dict, where)
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}
    if unknown := given.keys() - known.keys():
        raise ValueError(f"{where} has an unknown {min(unknown)!r:.{MAX_SHOWN}}")
    for name, field in known.items():
        has_default = (field.default, field.default_factory) != (MISSING, MISSING)
        if name not in given and not has_default:
            raise ValueError(f"{where} has no {name}")
    return kind(**{n: _decoded(v, hints[n], f"{where}.{n}") for n, v in given.items()})


def _union(value: Any, kinds: Sequence[Any], where: str) -> Any:
    reasons = []
    for kind in kinds:
        try:
            return _decoded(value, kind, where)
        except ValueError as refused:
            reasons.append(str(refused))
    raise ValueError(reasons[0])


def _checked(value: Any, kind: type, where: str) -> Any:
    """Return a value of exactly this type: True is no number, nor is one too large."""
    if type(value) is not kind:
        shown = f"{value!r:.{MAX_SHOWN}}"
        raise ValueError(f"{where} is {shown}, not {_NAMES.get(kind, kind.__name__)}")
    if type(value) is int and abs(value) >= MAX_NUMBER:
        raise ValueError(f"{where} is a number of more than 64 bits")
    return value


def timestamp(text: Any) -> datetime:
    """
    Return a time with its zone, in years that every calendar can reckon with.

    Raises ValueError, and TypeError for what is no text.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("its time has no zone")
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise ValueError(f"its time is in the year {found.year}")
    return found.astimezone(UTC)


def check_times(*texts: str) -> None:
    """Raise ValueError for a time that is none; "" stands for never."""
    for text in filter(None, texts):
        timestamp(text)


_NAMES = {
    dict: "an object",
    list: "a list",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
}
