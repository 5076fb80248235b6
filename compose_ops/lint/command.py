"""The linter as a command: a request, the settings, and text for stdout."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from compose_ops.errors import ComposeOpsError
from compose_ops.lint import output
from compose_ops.lint import run as linter
from compose_ops.lint.report import LintReport
from compose_ops.lint.settings import LintSettings


@dataclass(frozen=True, slots=True)
class LintRequest:
    """What the command line asks for; an empty text leaves what the settings say."""

    fail_on: str = ""
    format: str = "text"
    explain: str = ""
    baseline: str = ""
    update_baseline: bool = False

    @property
    def is_json(self) -> bool:
        """Whether the answer is JSON, whose values are redacted already."""
        return self.format in {"json", "sarif"} and not self.explain

    def over(self, settings: LintSettings) -> LintSettings:
        """Return the settings with what the command line says over them."""
        if self.fail_on:
            settings = replace(settings, fail_on=self.fail_on)
        if self.baseline:
            settings = replace(settings, baseline=Path(self.baseline))
        return settings


def lint(
    judge: Callable[[Callable[[LintSettings], LintSettings]], LintReport],
    request: LintRequest,
    *,
    show: Callable[[str], object],
) -> None:
    """
    Judge, hand the report to *show* in the format asked for, and refuse what fails.

    *judge* puts the request over the settings that hold, and returns the report.

    Raises UsageError for words that mean nothing, ConfigurationError for files and
    settings that cannot be read, FindingsFound (exit code 11) for what fails.

    Example: `lint(judge, LintRequest(format="sarif"), show=print)`.
    """
    output.check_format(request.format)
    if request.explain:
        show(linter.explain(request.explain))
        return
    try:
        report = judge(request.over)
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
