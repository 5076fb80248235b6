"""What `schedule` and `recover --install` do and print."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from invoke.exceptions import Exit

from compose_ops import console
from compose_ops.cli.task import emit
from compose_ops.console import say, show, table
from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.library.unattended import Scheduling

if TYPE_CHECKING:
    from compose_ops.library.stack import Stack
    from compose_ops.schedule.manage import JobStatus


def one_of(flags: Mapping[str, bool]) -> str:
    """Return the flag that is given, "" for none; UsageError for several."""
    given = [name for name, is_given in flags.items() if is_given]
    if len(given) > 1:
        words = " and ".join(f"--{name}" for name in given)
        raise UsageError(f"{words} exclude each other", hint="give one of them")
    return given[0] if given else ""


def run(stack: "Stack", what: str, *, json: bool) -> None:
    """Do what *what*, the name of a flag, asks for; without one, schedule."""
    if not what:
        install(stack, json=json)
        return
    found = _scheduling(stack)
    if what == "print" or (what == "remove" and stack.dry):
        _print(found, json=json)
    elif what == "status":
        _status(found, json=json)
    elif what == "remove":
        gone = found.remove()
        _listed("removed", gone or (), json=json)
    elif what == "test":
        _test(found, json=json)
    elif code := found.at_boot():
        raise Exit(code=code)


def install(stack: "Stack", *, only: Sequence[str] = (), json: bool) -> None:
    """Schedule the jobs of *only*, or all; with `--dry` print them."""
    found = _scheduling(stack, only)
    if stack.dry:
        _print(found, json=json)
        return
    _listed("scheduled", found.install(whole=not only), json=json)
    if not only and not found.prunes:
        say(
            "nothing is pruned: keep_daily and others under [schedule] say what is kept"
        )


def _scheduling(stack: "Stack", only: Sequence[str] = ()) -> Scheduling:
    return stack.scheduling(program=console.program(), only=only)


def _print(found: Scheduling, *, json: bool) -> None:
    text = found.render()
    if json:
        emit({"by": found.manager.name, "text": text})
    else:
        show(text.rstrip("\n"), verbatim=True)


def _listed(word: str, names: Sequence[str], *, json: bool) -> None:
    if json:
        emit({word: list(names)})
        return
    for name in names:
        show(f"{word} {name}")


def _status(found: Scheduling, *, json: bool) -> None:
    jobs = found.status()
    if json:
        emit({"by": found.manager.name, "jobs": [asdict(job) for job in jobs]})
        return
    columns = ["job", "state", "last run", "how it ended", "next run"]
    table(found.manager.name, columns, [_row(job) for job in jobs])
    if any(job.state != "scheduled" for job in jobs):
        say("invoke schedule makes it what compose-ops.toml says")


def _row(job: "JobStatus") -> list[str]:
    last = job.last
    ended = "well"
    if last and last.exit_code:
        ended = f"exit code {last.exit_code}: {last.error}"
    return [
        job.name,
        job.state,
        _when(last.started) if last else "never",
        ended if last else "",
        _when(job.next) or ("after a boot" if job.state == "scheduled" else ""),
    ]


def _when(text: str) -> str:
    time = datetime.fromisoformat(text) if text else None
    return f"{time.astimezone():%Y-%m-%d %H:%M}" if time else ""


def _test(found: Scheduling, *, json: bool) -> None:
    faults = found.test()
    if json:
        emit({"faults": faults})
    if faults:
        raise ConfigurationError(
            faults[0],
            hint="mend the file that [notify] of compose-ops.toml names",
            detail="\n".join(faults[1:]),
        )
    if not json:
        show("delivered")
