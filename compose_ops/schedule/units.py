"""A schedule as systemd units: for each job a service, and a timer for its pace."""

from collections.abc import Sequence

from compose_ops.schedule.jobs import Job, Schedule

MARK = (
    "# Written by compose-ops schedule; it is written anew, so change compose-ops.toml."
)
DESCRIPTIONS = {
    "backup": "Back up the stores",
    "verify": "Verify the backup sets",
    "drill": "Restore a backup set in a drill",
    "recover": "Put right what interrupted tasks left",
}


def stem(project: str, job: str) -> str:
    """Return the name of a job's units without the ending."""
    return f"compose-ops-{project}-{job}"


def files(schedule: Schedule) -> dict[str, str]:
    """
    Return the units of a schedule: the text of each, by its file's name.

    >>> sorted(files(schedule))[:2]  # doctest: +SKIP
    ['compose-ops-shop-backup.service', 'compose-ops-shop-backup.timer']
    """
    made = {}
    for job in schedule.jobs:
        name = stem(schedule.project, job.name)
        made[f"{name}.service"] = service(schedule, job)
        if job.pace:
            made[f"{name}.timer"] = timer(schedule, job)
    return made


def enabled(schedule: Schedule) -> tuple[str, ...]:
    """Return the units to enable: every timer, and what runs at boot."""
    timers = [name for name in files(schedule) if name.endswith(".timer")]
    at_boot = [
        f"{stem(schedule.project, job.name)}.service"
        for job in schedule.jobs
        if job.name == "recover"
    ]
    return (*timers, *at_boot)


def service(schedule: Schedule, job: Job) -> str:
    """Return the text of a job's service."""
    lines = [
        MARK,
        "[Unit]",
        f"Description={_percent(_title(schedule, job))}",
        "Wants=network-online.target",
        "After=docker.service network-online.target",
        "",
        "[Service]",
        "Type=oneshot",
        f"User={schedule.user}",
        f"Group={schedule.group}",
        f"WorkingDirectory={_percent(str(schedule.folder))}",
        *(
            f"Environment={_quoted(f'{name}={value}', dollar='$')}"
            for name, value in schedule.environment.items()
        ),
        f"ExecStart={' '.join(map(_quoted, _started(schedule.command(job))))}",
        "UMask=0077",
        # What a task began is undone at the first signal; its own docker clients end
        # with it.
        "KillMode=mixed",
        "TimeoutStopSec=30min",
    ]
    if job.name == "recover":
        lines += ["", "[Install]", "WantedBy=multi-user.target"]
    return "\n".join(lines) + "\n"


def timer(schedule: Schedule, job: Job) -> str:
    """Return the text of a job's timer."""
    calendar = job.pace.on_calendar if job.pace else ""
    return "\n".join(
        [
            MARK,
            "[Unit]",
            f"Description={_percent(_title(schedule, job))}",
            "",
            "[Timer]",
            f"OnCalendar={calendar}",
            "Persistent=true",
            f"RandomizedDelaySec={schedule.delay}",
            "FixedRandomDelay=true",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def _started(words: Sequence[str]) -> Sequence[str]:
    """Return a command that systemd takes: it wants no quotes in a program's path."""
    if set(words[0]).isdisjoint("\"'\\"):
        return words
    return ("/bin/sh", "-c", 'exec "$@"', "sh", *words)


def _title(schedule: Schedule, job: Job) -> str:
    return f"{DESCRIPTIONS[job.name]} of {schedule.project}"


def _percent(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(word: str, *, dollar: str = "$$") -> str:
    """Return a word as systemd reads it back: nothing in it is expanded."""
    inner = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", dollar)
    return f'"{_percent(inner)}"'
