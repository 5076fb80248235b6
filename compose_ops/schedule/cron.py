"""A schedule as lines of its user's crontab, each with a mark at its end."""

import os
import pwd
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from compose_ops.errors import ConfigurationError, EngineError
from compose_ops.schedule.jobs import Job, Schedule

AT_BOOT = "boot"
LIMIT = 30.0
"""Seconds that the program `crontab` may take."""
MACHINE_ID = Path("/etc/machine-id")


def lines(schedule: Schedule, machine: str = "") -> dict[str, str]:
    """
    Return the lines of a schedule by job, and the one for the machine's boot.

    cron neither spreads jobs nor makes up for what it missed: each line sleeps first,
    for a time that *machine* decides, and the line for the boot runs what was missed.
    """
    boot = Job("recover", ("schedule", "--at-boot"), None)
    made = {AT_BOOT: f"@reboot {_command(schedule, boot)}{_mark(schedule, AT_BOOT)}"}
    for job in schedule.jobs:
        if job.pace is None:
            continue
        seconds = delay(schedule, job, machine or _machine())
        command = _command(schedule, job)
        nap = f"sleep {seconds}; " if seconds else ""
        made[job.name] = f"{job.pace.cron} {nap}{command}{_mark(schedule, job.name)}"
    return made


def delay(schedule: Schedule, job: Job, machine: str) -> int:
    """Return a job's delay in seconds on *machine*: always the same there."""
    if not schedule.delay:
        return 0
    digest = sha256(f"{machine}/{schedule.project}/{job.name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % (schedule.delay + 1)


def marks(text: str, project: str) -> dict[str, str]:
    """Return the lines of a crontab that are a project's, by job."""
    found = {}
    for line in text.splitlines():
        if mark := re.search(rf" # compose-ops:{re.escape(project)}:([a-z]+)$", line):
            found[mark[1]] = line
    return found


def changed(text: str, project: str, new: dict[str, str]) -> str:
    """Return a crontab with the lines of *new*, by job, in place of those there."""
    own = marks(text, project)
    doomed = {own[name] for name in new if name in own}
    kept = [line for line in text.splitlines() if line not in doomed]
    return "".join(f"{line}\n" for line in (*kept, *filter(None, new.values())))


class Cron:
    """The crontab of the schedule's user, through the program `crontab`."""

    name = "cron"

    def __init__(self, user: str) -> None:
        is_own = pwd.getpwuid(os.geteuid()).pw_name == user
        self.words = ["crontab"] if is_own else ["crontab", "-u", user]

    def render(self, schedule: Schedule) -> str:
        """Return the lines."""
        return "".join(f"{line}\n" for line in lines(schedule).values())

    def current(self, schedule: Schedule) -> dict[str, bool | None]:
        """Say by job whether the crontab has its line as it should be; None: none."""
        wanted, found = lines(schedule), marks(self._read(), schedule.project)
        names = [(j.name, j.name if j.pace else AT_BOOT) for j in schedule.jobs]
        return {
            name: found[line] == wanted[line] if line in found else None
            for name, line in names
        }

    def install(self, schedule: Schedule, *, whole: bool) -> list[str]:
        """
        Put the lines into the crontab; return the jobs. With *whole* no other stays.

        Raises ConfigurationError without cron, and where another folder's project of
        the name is in the crontab; EngineError where cron refuses.
        """
        text, wanted = self._read(), lines(schedule)
        mine = f"cd {shlex.quote(str(schedule.folder))} &&".replace("%", "\\%")
        own = marks(text, schedule.project)
        if any(mine not in line for line in own.values()):
            raise ConfigurationError(
                f"the crontab has a project {schedule.project} of another folder",
                hint="remove that schedule there first: invoke schedule --remove",
            )
        gone = dict.fromkeys(own, "") if whole else {}
        self._write(changed(text, schedule.project, gone | wanted))
        return sorted(wanted)

    def remove(self, project: str) -> list[str]:
        """Take a project's lines away; return their jobs."""
        text = self._read()
        own = marks(text, project)
        if own:
            self._write(changed(text, project, dict.fromkeys(own, "")))
        return sorted(own)

    def _read(self) -> str:
        if shutil.which("crontab") is None:
            raise ConfigurationError(
                "there is neither a running systemd nor cron",
                hint="apt-get install cron; invoke schedule --print shows what would "
                "be scheduled",
            )
        done = self._run(["-l"], "")
        if done.returncode and "no crontab" not in done.stderr:
            raise self._refused(done.stderr)
        return "" if done.returncode else done.stdout

    def _write(self, text: str) -> None:
        done = self._run(["-"], text) if text.strip() else self._run(["-r"], "")
        if done.returncode:
            raise self._refused(done.stderr)

    def _run(
        self, words: Sequence[str], text: str
    ) -> "subprocess.CompletedProcess[str]":
        command = [*self.words, *words]
        try:
            return subprocess.run(
                command,
                input=text,
                capture_output=True,
                text=True,
                timeout=LIMIT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as failed:
            return subprocess.CompletedProcess(command, 1, "", str(failed))

    @staticmethod
    def _refused(words: str) -> EngineError:
        return EngineError(
            "cron refused the crontab",
            hint="mend what it says, then run this again",
            detail=words.strip(),
        )


def _command(schedule: Schedule, job: Job) -> str:
    """Return a job's command for `/bin/sh -c`, as cron runs it."""
    variables = " ".join(
        f"{name}={shlex.quote(value)}" for name, value in schedule.environment.items()
    )
    words = shlex.join(schedule.command(job))
    tag = f"compose-ops-{schedule.project}-{job.name}"
    text = (
        f"cd {shlex.quote(str(schedule.folder))} && umask 077 && "
        f"{variables} {words} 2>&1 | logger -t {tag}"
    )
    return text.replace("%", "\\%")


def _mark(schedule: Schedule, name: str) -> str:
    return f" # compose-ops:{schedule.project}:{name}"


def _machine() -> str:
    try:
        return MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
