"""The linter as a command: a request, the settings, and text for stdout."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from compose_ops.docker.api import Engine
from compose_ops.errors import ComposeOpsError, UsageError
from compose_ops.lint import output
from compose_ops.lint import run as linter
from compose_ops.lint.settings import LintSettings
from compose_ops.project.paths import ROOT


@dataclass(frozen=True, slots=True)
class LintRequest:
    """
    What the command line asks for; an empty text leaves what the settings say.

    `files` are judged together instead of the project's own combinations.
    """

    rules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    fail_on: str = ""
    format: str = "text"
    explain: str = ""
    baseline: str = ""
    update_baseline: bool = False
    ask_images: bool = False

    def over(self, settings: LintSettings) -> LintSettings:
        """Return the settings with what the command line says over them."""
        if self.fail_on:
            settings = replace(settings, fail_on=self.fail_on)
        if self.baseline:
            settings = replace(settings, baseline=Path(self.baseline))
        return settings


def lint(
    engine: Engine,
    request: LintRequest,
    settings: LintSettings,
    *,
    show: Callable[[str], object],
    root: Path = ROOT,
) -> None:
    """
    Judge, hand the report to *show* in the format asked for, and refuse what fails.

    Raises UsageError for words that mean nothing, ConfigurationError for files and
    settings that cannot be read, FindingsFound (exit code 11) for what fails.

    Example: `lint(engine, LintRequest(format="sarif"), settings, show=print)`.
    """
    output.check_format(request.format)
    if request.explain:
        show(linter.explain(request.explain))
        return
    wanted = request.over(settings)
    if request.update_baseline and wanted.baseline is None:
        raise UsageError(
            "no baseline is named", hint="name its file with --baseline FILE"
        )
    try:
        report = linter.judge(
            engine,
            root=root,
            files=request.files,
            only=request.rules,
            settings=wanted,
            ask=request.ask_images,
        )
    except ComposeOpsError as error:
        show(output.refused(error, request.format))
        raise
    if request.update_baseline:
        path = linter.update_baseline(report)
        count = len(report.open) + len(report.known)
        show(f"{path} holds {count} findings\n" if request.format == "text" else "")
        return
    show(output.rendered(report, request.format))
    report.refuse()
