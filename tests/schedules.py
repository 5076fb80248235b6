"""Schedules for tests, and a reader of units."""

from dataclasses import replace
from pathlib import Path

from compose_ops.config import Config
from compose_ops.config.unattended import ScheduleTable
from compose_ops.schedule import jobs
from compose_ops.schedule.jobs import Schedule

NASTY = 'o p\'t $x %n "q" \\ü'


def planned(
    folder: Path,
    *,
    program: str = "/opt/shop/.venv/bin/compose-ops",
    delay: int = 900,
    **table: object,
) -> Schedule:
    """Return the schedule of the project shop in *folder*, which need not exist."""
    user = "" if folder.exists() else "root"
    config = Config(
        schedule=ScheduleTable(
            **{"user": user, "keep_daily": 14, "random_delay": delay, **table}  # type: ignore[arg-type]
        ),
        folder=folder,
    )
    made = jobs.planned(config, "shop", program="compose-ops")
    return replace(made, program=(program,))


def read_unit(text: str) -> dict[str, list[str]]:
    """Return the values of a unit by their keys, in order."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found
