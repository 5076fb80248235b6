"""Install a schedule's units, or take them away; a failure leaves what was before."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from compose_ops.errors import ComposeOpsError, ConfigurationError, EngineError
from compose_ops.schedule import units
from compose_ops.schedule.jobs import NAMES, Schedule

RUNNING = Path("/run/systemd/system")
FOLDER = Path("/etc/systemd/system")
LIMIT = 90.0
"""Seconds that systemctl may take."""
READABLE = 0o644


class Systemd:
    """The service manager of the machine; its units lie in *folder*."""

    name = "systemd"

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder

    def render(self, schedule: Schedule) -> str:
        """Return every unit below a line with its file's name."""
        return "\n".join(
            f"# {self.folder / name}\n{text}"
            for name, text in units.files(schedule).items()
        )

    def current(self, schedule: Schedule) -> dict[str, bool | None]:
        """
        Say by job whether what is installed is this schedule; None where nothing is.

        A timer that somebody disabled is not.
        """
        wanted = units.files(schedule)
        found: dict[str, bool | None] = {}
        for job in schedule.jobs:
            own = units.stem(schedule.project, job.name)
            files = {n: t for n, t in wanted.items() if n.startswith(f"{own}.")}
            texts = {name: self._text(name) for name in files}
            if not any(texts.values()):
                found[job.name] = None
                continue
            active = not job.pace or self._is_active(f"{own}.timer")
            found[job.name] = texts == files and active
        return found

    def install(self, schedule: Schedule, *, whole: bool) -> list[str]:
        """
        Write and enable the units; return the files. With *whole* no other job stays.

        Raises ConfigurationError where another folder's project has units of the name,
        or the folder is closed, EngineError where systemctl refuses.
        """
        wanted: dict[str, str] = units.files(schedule)
        self._check_owner(schedule, wanted)
        gone = [n for n in self.installed(schedule.project) if n not in wanted]
        before = {
            name: self._text(name) for name in (*wanted, *(gone if whole else ()))
        }
        try:
            if whole:
                self._take_away(gone)
            self._put(wanted)
            self._systemctl("daemon-reload")
            self._systemctl("enable", *units.enabled(schedule))
            if timers := [n for n in wanted if n.endswith(".timer")]:
                self._systemctl("restart", *timers)
        except (ComposeOpsError, KeyboardInterrupt):
            self._restore(before)
            raise
        return sorted(str(self.folder / name) for name in wanted)

    def remove(self, project: str) -> list[str]:
        """Disable and remove a project's units; return the files."""
        names = self.installed(project)
        if names:
            self._take_away(names)
            self._systemctl("daemon-reload")
        return [str(self.folder / name) for name in names]

    def installed(self, project: str) -> list[str]:
        """Return the files of a project's units."""
        jobs = "|".join(NAMES)
        own = re.compile(rf"{re.escape(units.stem(project, ''))}({jobs})\.\w+")
        return sorted(
            path.name
            for path in self.folder.glob("compose-ops-*")
            if own.fullmatch(path.name)
        )

    def _check_owner(self, schedule: Schedule, names: Mapping[str, str]) -> None:
        mine = f"WorkingDirectory={str(schedule.folder).replace('%', '%%')}\n"
        for name in names:
            text = self._text(name)
            if name.endswith(".service") and text and mine not in text:
                raise ConfigurationError(
                    f"{self.folder / name} runs a project {schedule.project} of "
                    "another folder",
                    hint="remove that schedule there first: invoke schedule --remove",
                )

    def _take_away(self, names: Sequence[str]) -> None:
        if timers := [name for name in names if name.endswith(".timer")]:
            self._systemctl("disable", "--now", *timers)
        if services := [name for name in names if name.endswith(".service")]:
            self._systemctl("disable", *services)
        for name in names:
            with self._named(name):
                (self.folder / name).unlink(missing_ok=True)

    def _put(self, texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            partial = self.folder / f".{name}.partial"
            with self._named(name):
                partial.write_text(text, encoding="utf-8")
                partial.chmod(READABLE)
                partial.rename(self.folder / name)

    def _restore(self, before: Mapping[str, str]) -> None:
        for name in before:
            for file in (name, f".{name}.partial"):
                with suppress(OSError):
                    (self.folder / file).unlink(missing_ok=True)
        there = {name: text for name, text in before.items() if text}
        with suppress(ComposeOpsError):
            self._put(there)
            self._systemctl("daemon-reload")
            if there:
                self._systemctl("enable", *(n for n in there if n.endswith(".timer")))

    def _named(self, name: str) -> "_Refusal":
        return _Refusal(self.folder / name)

    def _text(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""

    def _is_active(self, timer: str) -> bool:
        done = self._run("is-active", "--quiet", timer)
        return done.returncode == 0

    def _systemctl(self, *words: str) -> None:
        done = self._run(*words)
        if done.returncode:
            raise EngineError(
                f"systemctl {words[0]} failed",
                hint="mend what it says, then run this again",
                detail=done.stderr.strip(),
            )

    @staticmethod
    def _run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = ["systemctl", *words]
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LIMIT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as failed:
            return subprocess.CompletedProcess(command, 1, "", str(failed))


class _Refusal:
    """Turn an OSError about a unit's file into a ConfigurationError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        if isinstance(error, OSError):
            raise ConfigurationError(
                f"{self.path} cannot be written: {error.strerror}",
                hint="units are root's: run this with sudo; --print only shows them",
            ) from error
