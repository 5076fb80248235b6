"""Metrics of a project's backups, as a file for the node exporter."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from compose_ops.errors import ConfigurationError, needs_extra
from compose_ops.state.runs import Copy, Run, Runs

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

READABLE = 0o644
COPIES: tuple[tuple[str, str, Callable[[Copy], float]], ...] = (
    (
        "compose_ops_backup_success_timestamp_seconds",
        "When the newest set was taken, 0 for never.",
        lambda copy: _seconds(copy.success),
    ),
    (
        "compose_ops_backup_verified_timestamp_seconds",
        "When the newest verified set was taken, 0 for never.",
        lambda copy: _seconds(copy.verified),
    ),
    (
        "compose_ops_backup_proven_timestamp_seconds",
        "When the newest set that a drill proved was taken, 0 for never.",
        lambda copy: _seconds(copy.proven),
    ),
    (
        "compose_ops_backup_duration_seconds",
        "How long the backup of the newest set took.",
        lambda copy: copy.seconds,
    ),
    (
        "compose_ops_backup_size_bytes",
        "The data in the newest set, unpacked.",
        lambda copy: copy.bytes,
    ),
    (
        "compose_ops_backup_downtime_seconds",
        "How long the store was stopped for the newest set.",
        lambda copy: copy.downtime,
    ),
    (
        "compose_ops_backup_exit_code",
        "How the last backup of the service ended.",
        lambda copy: copy.exit_code,
    ),
)
TASKS: tuple[tuple[str, str, Callable[[Run], float]], ...] = (
    (
        "compose_ops_task_end_timestamp_seconds",
        "When the last run of the task ended.",
        lambda run: _seconds(run.ended),
    ),
    (
        "compose_ops_task_success_timestamp_seconds",
        "When a run of the task last ended well, 0 for never.",
        lambda run: _seconds(run.succeeded),
    ),
    (
        "compose_ops_task_duration_seconds",
        "How long the last run of the task took.",
        lambda run: run.seconds,
    ),
    (
        "compose_ops_task_exit_code",
        "How the last run of the task ended.",
        lambda run: run.exit_code,
    ),
)


def require(folder: Path) -> None:
    """Raise ConfigurationError without the extra, or without the folder."""
    with needs_extra("metrics"):
        import prometheus_client  # noqa: F401
    if not folder.is_dir():
        raise ConfigurationError(
            f"{folder}, which metrics.folder names, is no folder",
            hint="make it, writable for the user of the jobs",
        )


def write(folder: Path, project: str, known: Runs) -> Path:
    """
    Write what is known of a project to `compose-ops-PROJECT.prom`, whole or not at all.

    Raises ConfigurationError without the extra, OSError where the folder refuses.

    >>> write(Path("/var/lib/prometheus/node-exporter"), "shop", Runs())
    PosixPath('/var/lib/prometheus/node-exporter/compose-ops-shop.prom')
    """
    with needs_extra("metrics"):
        from prometheus_client import write_to_textfile
    path = folder / f"compose-ops-{project}.prom"
    # The exporter is another user, and reads only names that end in .prom.
    partial = folder / f".{path.name}.partial"
    write_to_textfile(str(partial), registry(project, known))
    try:
        partial.chmod(READABLE)
        partial.rename(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise
    return path


def registry(project: str, known: Runs) -> "CollectorRegistry":
    """Return what is known of a project as metrics."""
    from prometheus_client import CollectorRegistry, Gauge

    made = CollectorRegistry()
    for name, text, value in COPIES:
        of_copy = Gauge(
            name, text, ["project", "service", "destination"], registry=made
        )
        for copy in known.copies:
            of_copy.labels(project, copy.service, copy.destination).set(value(copy))
    for name, text, figure in TASKS:
        of_task = Gauge(name, text, ["project", "task"], registry=made)
        for task, run in known.tasks.items():
            of_task.labels(project, task).set(figure(run))
    return made


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
