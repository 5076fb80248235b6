"""
Judge a project's compose files by the rules.

Every combination that a task can select is merged by Compose and judged; a fault that
several show is named once. Only reads; no container is started unless asked.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from compose_ops.docker.api import Engine
from compose_ops.errors import ConfigurationError, EngineError, UsageError
from compose_ops.lint import baseline as baselines
from compose_ops.lint.check import all_rules, check_all, skipped
from compose_ops.lint.finding import Finding
from compose_ops.lint.image_probe import ask_images
from compose_ops.lint.loader import Combination, subjects
from compose_ops.lint.report import LintReport
from compose_ops.lint.settings import OFF, LintSettings, check_settings
from compose_ops.project.labels import with_labels


def judge(
    engine: Engine,
    combinations: Sequence[Combination],
    *,
    root: Path,
    env_files: Sequence[Path] = (),
    only: Collection[str] = (),
    settings: LintSettings = LintSettings(),  # noqa: B008 - frozen
    ask: bool = False,
) -> LintReport:
    """
    Return the report on the combinations of a project's files.

    *root* is Compose's project directory; *only* are rule ids, empty for all; with
    *ask* a container of each local image is started to see which programs it holds.
    Raises UsageError for an unknown rule or severity, ConfigurationError for a file
    that cannot be read and for settings that do not hold.

    Example: `judge(engine, [Combination("all", (file,))], root=folder).failing`.
    """
    check_rules(only)
    check_settings(settings, all_rules())
    made = subjects(
        combinations,
        root=root,
        docker=engine.docker,
        env_files=env_files,
        start_timeout=settings.start_timeout,
    )
    made = tuple(
        replace(
            one, memory=settings.memory, model=with_labels(one.model, settings.labels)
        )
        for one in made
    )
    with suppress(EngineError):
        made = ask_images(made, engine, start=ask)
    asked = only or None
    found = tuple(without_echoes(settled(check_all(made, asked), settings)))
    known: tuple[Finding, ...] = ()
    if settings.baseline is not None and settings.baseline.exists():
        held = baselines.read(settings.baseline)
        unaccepted = [one for one in found if not one.accepted]
        new, known = baselines.split(unaccepted, held)
        found = (*new, *(one for one in found if one.accepted))
    asked_rules = len(only) or len(all_rules())
    return LintReport(found, skipped(made, asked), known, asked_rules, settings)


def settled(findings: Sequence[Finding], settings: LintSettings) -> Iterator[Finding]:
    """Yield the findings that the settings leave, with their severities."""
    for one in findings:
        default = one.severity
        severity = settings.severity(one.rule, default)
        if severity == OFF or settings.excludes(one.file):
            continue
        reasons = [a.reason for a in settings.accept if a.accepts(one)]
        accepted = one.accepted or (reasons[0] if reasons else "")
        yield replace(one, severity=severity, accepted=accepted)


UNDEFINED = re.compile(r"refers to undefined (network|volume|secret|config) (\S+?):")


def without_echoes(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings without refusals that `used-undeclared` says as well."""
    every = tuple(findings)
    known = [one.message for one in every if one.rule == "used-undeclared"]
    for one in every:
        match = UNDEFINED.search(one.message)
        echo = f"{match[1]} {match[2]} is declared nowhere" if match else ""
        if one.rule != "refused-by-compose" or echo not in known:
            yield one


def update_baseline(report: LintReport) -> Path:
    """
    Write what is open now into the baseline, and return the file.

    Raises UsageError where the settings name none, ConfigurationError where it cannot
    be written.
    """
    path = report.settings.baseline
    if path is None:
        raise UsageError(
            "no baseline is named", hint="name its file with --baseline FILE"
        )
    try:
        path.write_text(
            baselines.written((*report.open, *report.known)), encoding="utf-8"
        )
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}", hint="name another file"
        ) from error
    return path


def check_rules(only: Collection[str]) -> None:
    """Raise UsageError for an id that no rule has."""
    for name in only:
        if name not in all_rules():
            raise UsageError(
                f"there is no rule {name!r}", hint="docs/rules.md lists the rules"
            )


def explain(name: str) -> str:
    """Return the reference on a rule. Raises UsageError for an unknown one."""
    from compose_ops.lint.reference import section

    check_rules([name])
    return "\n".join(section(all_rules()[name])) + "\n"
