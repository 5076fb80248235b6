"""What `compose-ops.toml` may hold about work that nobody watches."""

from collections.abc import Mapping
from dataclasses import dataclass

from compose_ops.config.keys import key


@dataclass(frozen=True, slots=True)
class ScheduleTable:
    """
    What `schedule` lets the machine run by itself.

    A pace is `hourly`, `02:30` (every day), `Sun 04:00`, `Mon,Thu 04:00`, or `1 05:00`
    (day 1 to 28 of each month), in the machine's time zone; empty for never.
    """

    user: str = key("Who runs it. Default: who owns the project's folder.", "")
    backup: str = key("The pace of `backup --all`.", "02:30")
    verify: str = key("The pace of `verify`.", "Sun 04:00")
    drill: str = key("The pace of `drill`.", "1 05:00")
    recover: str = key("The pace of `recover`, which also runs at boot.", "hourly")
    random_delay: int = key(
        "Each machine waits up to so many seconds more, always the same.", 900
    )
    lock_wait: int = key("Seconds to wait for a task that is at work.", 3600)
    keep_last: int = key("`--keep-last` of the backup.", 0)
    keep_daily: int = key("`--keep-daily` of the backup.", 0)
    keep_weekly: int = key("`--keep-weekly` of the backup.", 0)
    keep_monthly: int = key("`--keep-monthly` of the backup.", 0)
    encrypt: tuple[str, ...] = key("`--encrypt` of the backup.", ())
    identity: str = key("The file that opens encrypted sets for verify and drill.", "")


REPORTED = ("backup", "verify", "drill", "prune", "recover")
"""The tasks that hooks, notifications and metrics are about."""

EVENTS = ("failed", "recovered", "unverified", "shrunk", "drill-failed")


@dataclass(frozen=True, slots=True)
class NotifyTable:
    """
    Who is told how backup, verify, drill, prune and recover went.

    `urls` needs the extra `notify`. Messages are redacted and have 10 seconds to be
    sent; what cannot be sent is a warning and fails no task.
    """

    urls: str = key("A secret file with an Apprise URL on each line.", "")
    events: tuple[str, ...] = key(
        f"What is told of: {', '.join(f'`{name}`' for name in EVENTS)}.",
        EVENTS,
        choices=EVENTS,
    )
    unverified_days: int = key(
        "`unverified`: days without a verified set of a service.", 3
    )
    pings: Mapping[str, str] = key(
        "Secret files by task, each with the URL of a dead-man's switch: it gets "
        "`URL/start`, then `URL` or `URL/fail`.",
        {},
        choices=REPORTED,
    )
    ping_log: bool = key("Send the last lines of the task's output too.", default=False)


@dataclass(frozen=True, slots=True)
class HooksTable:
    """
    Commands around tasks, each a list of words, run in the folder of this file.

    [unattended.md](unattended.md) has the variables that they get.
    """

    tasks: tuple[str, ...] = key(
        "The tasks that they are run around.", ("backup",), choices=REPORTED
    )
    before: tuple[str, ...] = key("Before all else; where it fails nothing starts.", ())
    after: tuple[str, ...] = key("After a success.", ())
    failed: tuple[str, ...] = key("After a failure.", ())
    timeout: int = key("Seconds that each may take.", 300)


@dataclass(frozen=True, slots=True)
class MetricsTable:
    """Metrics for Prometheus as a text file; needs the extra `metrics`."""

    folder: str = key(
        "The folder that the node exporter's textfile collector reads; the file is "
        "`compose-ops-PROJECT.prom`.",
        "",
    )
