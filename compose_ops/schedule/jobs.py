"""The jobs of a schedule: what runs, where, as whom, with which variables."""

import grp
import os
import pwd
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compose_ops import redaction
from compose_ops.config import Config
from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.schedule.pace import Pace, pace
from compose_ops.state.lock import WAIT

NAMES = ("recover", "backup", "verify", "drill")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KEPT = (
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"),
    *("DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
    *("COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PROJECT_NAME"),
    *("COMPOSE_ENV_FILES", "COMPOSE_PROFILES", "COMPOSE_DISABLE_ENV_FILE"),
    *("PYTHONPATH", "COMPOSE_OPS_DEBUG"),
)
"""Variables of the shell that the jobs get: they select engine, project, modules."""


@dataclass(frozen=True, slots=True)
class Job:
    """A task that runs by itself; `words` are those behind the program."""

    name: str
    words: tuple[str, ...]
    pace: Pace | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    The jobs of a project and what they run in; `program` is an argument list.

    `delay` is in seconds: what each machine adds to a pace, at most.
    """

    project: str
    folder: Path
    user: str
    group: str
    uid: int
    program: tuple[str, ...]
    environment: Mapping[str, str]
    delay: int
    jobs: tuple[Job, ...]

    def command(self, job: Job) -> tuple[str, ...]:
        """Return the whole command line of a job."""
        return (*self.program, *job.words)


def planned(
    config: Config, project: str, *, program: str, only: Sequence[str] = ()
) -> Schedule:
    """
    Return what `[schedule]` asks for, the jobs of *only* or all.

    *program* is `invoke` or `compose-ops`. Raises ConfigurationError for a wrong pace,
    user or path, UsageError where another user's crontab or unit is asked for.
    """
    table = config.schedule
    account = _account(table.user, config.folder)
    jobs = tuple(
        Job(name, words(config, name), _pace(config, name))
        for name in NAMES
        if (name in only if only else name == "recover" or getattr(table, name))
    )
    made = Schedule(
        project=project,
        folder=config.folder,
        user=account.pw_name,
        group=grp.getgrgid(account.pw_gid).gr_name,
        uid=account.pw_uid,
        program=_program(program),
        environment=environment(table.lock_wait),
        delay=table.random_delay,
        jobs=jobs,
    )
    for text in (str(made.folder), *made.program, *made.environment.values()):
        _check_text(text)
    return made


def words(config: Config, name: str) -> tuple[str, ...]:
    """Return the words of a job's task, flags included."""
    table = config.schedule
    opened = ("--identity", str(config.path(table.identity))) if table.identity else ()
    if name in {"verify", "drill"}:
        return (name, *opened)
    if name == "recover":
        return (name,)
    kept = {
        f"--keep-{rule}": getattr(table, f"keep_{rule}")
        for rule in ("last", "daily", "weekly", "monthly")
    }
    rules = [word for flag, n in kept.items() if n for word in (flag, str(n))]
    sealed = [word for one in table.encrypt for word in ("--encrypt", one)]
    return ("backup", "--all", *sealed, *rules)


def environment(lock_wait: int) -> dict[str, str]:
    """
    Return the variables of every job: no secret, as units and crontabs are no secrets.

    Raises ConfigurationError for a DOCKER_HOST with a password in it.
    """
    docker = shutil.which("docker")
    place = str(Path(docker).parent) if docker else ""
    known = SYSTEM_PATH.split(":")
    found = {name: os.environ[name] for name in KEPT if os.environ.get(name)}
    for name, value in found.items():
        if redaction.passwords_in(value):
            raise ConfigurationError(
                f"{name} holds a password, which a unit would show to everybody",
                hint="use a docker context, or ssh with a key",
            )
    path = SYSTEM_PATH if place in {"", *known} else f"{place}:{SYSTEM_PATH}"
    return {"PATH": path, "LANG": "C.UTF-8", WAIT: str(lock_wait), **found}


def _pace(config: Config, name: str) -> Pace | None:
    text = getattr(config.schedule, name)
    return pace(text, key=f"schedule.{name}") if text else None


def _account(user: str, owned: Path) -> pwd.struct_passwd:
    """Return whose jobs they are: the user that is named, else the folder's owner."""
    try:
        found = pwd.getpwnam(user) if user else pwd.getpwuid(owned.stat().st_uid)
    except KeyError:
        who = f"the user {user}" if user else f"the owner of {owned}"
        raise ConfigurationError(
            f"{who} has no account on this machine",
            hint="user under [schedule] of compose-ops.toml names one",
        ) from None
    if os.geteuid() not in {0, found.pw_uid}:
        raise UsageError(
            f"the jobs would run as {found.pw_name}, which only root may arrange",
            hint="run this with sudo, or set user under [schedule] of compose-ops.toml",
        )
    return found


def _program(name: str) -> tuple[str, ...]:
    """Return what starts *name* in this environment: its script, else its module."""
    script = Path(sys.executable).with_name(name)
    if os.access(script, os.X_OK):
        return (str(script),)
    return (sys.executable, "-m", name.replace("-", "_"))


def _check_text(text: str) -> None:
    """Refuse what neither a unit nor a crontab can hold."""
    if not text.isprintable() or text != text.strip() or text.endswith("\\"):
        raise ConfigurationError(
            f"{text!r:.80} cannot stand in a unit or a crontab",
            hint="move the project to a folder whose path is plain text",
        )
