"""What `doctor` prints, and when it fails."""

from collections.abc import Callable, Mapping
from pathlib import Path

from compose_ops.console import say, show
from compose_ops.doctor.bundle import check_path
from compose_ops.doctor.run import Report
from compose_ops.errors import FindingsFound, WarningsFound
from compose_ops.library.stack import Stack
from compose_ops.units import readable_size

MARKS: Mapping[str, str] = {"warn": "WARN", "fail": "FAIL", "crashed": "CRASHED"}


def finish(
    report: Report,
    *,
    everything: bool,
    strict: bool,
    emit: Callable[[object], None] | None,
) -> None:
    """Print a report, with *emit* as JSON, and raise what `refuse` raises for it."""
    for note in report.notes:
        say(note)
    if emit:
        emit(report.as_json())
    else:
        print_report(report, everything=everything)
    refuse(report, strict=strict)


def print_report(report: Report, *, everything: bool = False) -> None:
    """Print what is wrong with its repair, or all rows; and the counts."""
    for row in report.rows:
        if row.outcome in MARKS:
            for verdict in row.problems:
                show(f"{MARKS[verdict.outcome]:<7} {row.id}: {verdict.detail}")
                if verdict.repair:
                    show(f"        repair: {verdict.repair}")
        elif everything or row.accepted:
            show(f"{row.outcome:<7} {row.id}: {row.detail}")
    counts = report.counts()
    show(", ".join(f"{number} {name}" for name, number in counts.items() if number))


def check_bundle(path: str) -> None:
    """Raise UsageError where a bundle is wanted and cannot be written."""
    if path:
        check_path(Path(path))


def write_bundle(stack: Stack, report: Report, path: str) -> None:
    """List on stderr what goes into a bundle, then write it; nothing for no path."""
    if not path:
        return
    bundle = stack.bundle(report, path)
    say(f"{bundle.path} will contain, with secrets redacted:")
    for name, size in bundle.sizes.items():
        say(f"  {name} ({readable_size(size)})")
    if not stack.dry:
        bundle.write()
        say(f"written: {bundle.path}; read it before you pass it on")


def refuse(report: Report, *, strict: bool = False) -> None:
    """Raise FindingsFound for failures; WarningsFound for warnings when *strict*."""
    counts = report.counts()
    failed = counts["fail"] + counts["crashed"]
    if failed:
        raise FindingsFound(
            f"{failed} checks failed",
            hint="run the repairs above, or invoke doctor --fix for the safe ones",
        )
    if strict and counts["warn"]:
        raise WarningsFound(
            f"{counts['warn']} checks warn",
            hint="run the repairs, or accept them: --accept 'ID=reason'",
        )
