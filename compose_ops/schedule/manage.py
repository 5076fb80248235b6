"""Schedule a project, say what is scheduled, run what a machine slept through."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from compose_ops.config import Config
from compose_ops.console import say
from compose_ops.errors import ConfigurationError, EngineUnavailable
from compose_ops.schedule import cron, systemd, trust
from compose_ops.schedule.jobs import Schedule
from compose_ops.state import runs
from compose_ops.state.runs import Run

BOOT_SECONDS = 300.0
"""How long an engine may take to answer after the machine's boot."""
LOOK_SECONDS = 2.0


class Manager(Protocol):
    """What starts jobs at their time."""

    @property
    def name(self) -> str: ...

    def render(self, schedule: Schedule) -> str: ...

    def current(self, schedule: Schedule) -> dict[str, bool | None]: ...

    def install(self, schedule: Schedule, *, whole: bool) -> list[str]: ...

    def remove(self, project: str) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class JobStatus:
    """
    A job, and how it fares. Times are RFC 3339.

    `state` is scheduled, changed (what is installed is not what compose-ops.toml says,
    or was disabled), or absent. `next` is before the machine's own delay; "" for a job
    that is not scheduled or runs at boot alone.
    """

    name: str
    state: str
    last: Run | None
    next: str


def manager(schedule: Schedule) -> Manager:
    """Return systemd where it runs, else cron."""
    if systemd.RUNNING.is_dir():
        return systemd.Systemd(systemd.FOLDER)
    return cron.Cron(schedule.user)


def install(
    schedule: Schedule, by: Manager, *, read: Sequence[Path], whole: bool = True
) -> list[str]:
    """
    Schedule the jobs, once nobody but root may write to what a job of root's trusts.

    *read* are the files that the jobs read, besides the program's own. Returns what was
    written. Raises ConfigurationError, EngineError.
    """
    if schedule.uid == trust.ROOT:
        check_trust(schedule, read)
    return by.install(schedule, whole=whole)


def check_trust(schedule: Schedule, read: Sequence[Path]) -> None:
    """Raise ConfigurationError where others may change what jobs of root's use."""
    folder = schedule.folder
    own = [path for path in folder.iterdir() if path.is_file()]
    found = [Path(word) for word in schedule.program if word.startswith(os.sep)]
    trust.check(
        (folder, *own, *found, *(path for path in read if path.exists())),
        (*trust.interpreter(), *trust.packages(folder)),
    )


def status(
    schedule: Schedule, by: Manager, root: Path, now: datetime
) -> tuple[JobStatus, ...]:
    """Return each job with its last run, and its next where it is scheduled."""
    current = by.current(schedule)
    known = runs.load(root, schedule.project)
    words = {None: "absent", False: "changed", True: "scheduled"}
    return tuple(
        JobStatus(
            name=job.name,
            state=words[current[job.name]],
            last=known.tasks.get(job.name),
            next=job.pace.next(now).isoformat(timespec="seconds")
            if job.pace and current[job.name]
            else "",
        )
        for job in schedule.jobs
    )


def missed(schedule: Schedule, by: Manager, root: Path, now: datetime) -> list[str]:
    """Return the scheduled jobs whose last time passed without a run that began."""
    known = runs.load(root, schedule.project)
    current = by.current(schedule)
    found = []
    for job in schedule.jobs:
        last = known.tasks.get(job.name)
        if job.pace is None or current[job.name] is None or last is None:
            continue
        with suppress(ValueError):
            if datetime.fromisoformat(last.started) < job.pace.previous(now):
                found.append(job.name)
    return found


def run(schedule: Schedule, names: Sequence[str]) -> int:
    """Run jobs one after the other; return the last exit code that is not 0."""
    code = 0
    for job in schedule.jobs:
        if job.name in names:
            say(f"running {job.name}")
            done = subprocess.run(
                schedule.command(job),
                cwd=schedule.folder,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            code = done.returncode or code
    return code


def await_engine(answers: Callable[[], bool]) -> None:
    """Return when the engine answers; EngineUnavailable where a boot brings none."""
    deadline = time.monotonic() + BOOT_SECONDS
    while not answers():
        if time.monotonic() > deadline:
            raise EngineUnavailable(
                f"no Docker Engine answers {BOOT_SECONDS:.0f} s after the boot",
                hint="sudo systemctl start docker",
            )
        time.sleep(LOOK_SECONDS)


def check_keys(config: Config) -> None:
    """Raise ConfigurationError for encrypted sets that no drill could open."""
    table = config.schedule
    if table.identity and not config.path(table.identity).is_file():
        raise ConfigurationError(
            f"there is no file {config.path(table.identity)}",
            hint="identity under [schedule] names the key that opens encrypted sets",
        )
    if table.encrypt and table.drill and not table.identity:
        raise ConfigurationError(
            "a drill could not open what the backup encrypts",
            hint='identity under [schedule] names the key; drill = "" leaves it out',
        )


def check_secret(path: Path, *, key: str) -> None:
    """Raise ConfigurationError for a secret file that is absent or open to others."""
    try:
        mode = path.stat().st_mode
    except OSError as refused:
        raise ConfigurationError(
            f"{path}, which {key} names, cannot be read: {refused.strerror}",
            hint="write it, one URL on a line, and chmod 600 it",
        ) from refused
    if mode & 0o077:
        raise ConfigurationError(
            f"{path}, which {key} names, is open to others (mode {mode & 0o777:04o})",
            hint=f"chmod 600 {path}",
        )
