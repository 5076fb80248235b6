"""Where the project departs from the guide, setting by setting."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compose_models import (
    Combination,
    canonical,
    guide_values,
    project_model,
    unprinted,
    written_values,
)
from guide_blocks import Setting, written
from guide_coverage import load_table
from plain_files import plain_values

ABSENT = "absent"
OPENS = re.compile(
    r"^(services\.[^.]+(\.(ports|networks|volumes|tmpfs|secrets|configs|cap_add|devices"
    r"|group_add|extra_hosts)\[.*\]|\.(user|privileged|pid|ipc|uts|network_mode"
    r"|userns_mode|cgroup))?|networks\.[^.]+|services\.[^.]+\.security_opt"
    r"\[(?!no-new-privileges:true).*\])$"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where the project has not the guide's value, or opens something."""

    files: tuple[str, ...]
    path: str
    guide: Any
    actual: Any
    row: Setting | None = None

    def __str__(self) -> str:
        said = "nothing" if self.row is None else written(self.guide)
        place = " + ".join(self.files)
        return f"{place}: {self.path}: guide {said}, here {written(self.actual)}"


def model_differences(
    root: Path, chosen: list[Combination], added: list[str]
) -> Iterator[Difference]:
    """
    Yield where a combination departs from the guide or opens something.

    *added* names places that the ledger calls added though they open nothing.
    """
    expected = list(_guide_rows())
    places = [canonical(place) for place in added]
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(lambda one: project_model(one, root), chosen))
    for combination, model in zip(chosen, models, strict=True):
        rows = _rows_of(combination, expected)
        for path, settings in rows.items():
            for row, value in settings:
                actual = _actual(row, path, model, root)
                if written(actual) != written(value):
                    yield Difference(combination.sources, row.path, value, actual, row)
        known = {*rows, *_opened(dict.fromkeys(rows))}
        for path in [*_opened(model), *_named(places, model)]:
            if path not in known:
                value = model.get(path, ABSENT)
                yield Difference(combination.sources, path, ABSENT, value)


@cache
def _guide_rows() -> tuple[tuple[Setting, Any], ...]:
    table = [row for row in load_table() if row.file.endswith((".yml", ".yaml"))]
    with TemporaryDirectory() as folder:
        groups = [
            list(rows)
            for _, rows in groupby(table, key=lambda row: (row.section, row.file))
        ]
        return tuple(
            pair
            for rows in groups
            for pair in zip(rows, guide_values(rows, Path(folder)), strict=True)
        )


def _rows_of(
    combination: Combination, expected: list[tuple[Setting, Any]]
) -> dict[str, list[tuple[Setting, Any]]]:
    rows: dict[str, list[tuple[Setting, Any]]] = {}
    for file in combination.files:
        own: dict[str, list[tuple[Setting, Any]]] = {}
        for row, value in expected:
            if row.file == file:
                own.setdefault(canonical(row.path), []).append((row, value))
        rows |= own
    return rows


def _actual(row: Setting, path: str, model: dict[str, Any], root: Path) -> Any:
    if unprinted(row.path) and ".devices[" not in row.path:
        return written_values(root / row.file).get(path, ABSENT)
    return model.get(path, ABSENT)


def _opened(model: dict[str, Any]) -> list[str]:
    heads = {re.sub(r"^((services|networks)\.[^.]+).*", r"\1", path) for path in model}
    return sorted(path for path in {*model, *heads} if OPENS.match(path))


def _named(places: list[str], model: dict[str, Any]) -> list[str]:
    """Return the paths of *model* at *places*, without those that open something."""
    return [
        path
        for path in model
        if not OPENS.match(path) and any(matches(place, path) for place in places)
    ]


def file_differences(root: Path) -> Iterator[Difference]:
    """Yield where Dockerfiles, scripts, tree and commands depart from the guide."""
    rows = [row for row in load_table() if not row.file.endswith((".yml", ".yaml"))]
    for file, group in groupby(sorted(rows, key=lambda r: r.file), lambda r: r.file):
        own = list(group)
        values = plain_values(root, file)
        for row in own:
            if row.key not in values:
                yield Difference((file,), row.path, row.value, ABSENT, row)
        said = {row.key for row in own}
        for path, text in values:
            name = path.rpartition("/")[2]
            if name in {"USER", "EXPOSE", "VOLUME"} and (path, text) not in said:
                yield Difference((file,), path, ABSENT, text)


def matches(pattern: str, text: str) -> bool:
    """Tell whether *text* is *pattern*, whose `*` stands for any text."""
    return bool(_compiled(pattern).fullmatch(text))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*"), re.DOTALL)
