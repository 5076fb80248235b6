"""What a project sets for the linter: the `[lint]` table of its configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.lint.finding import SEVERITIES, Finding

OFF = "off"
FAIL_ON = ("error", "warning", "note", "never")


@dataclass(frozen=True, slots=True)
class AcceptedRule:
    """
    A rule whose findings are accepted, with a reason.

    `file` is a pattern of files, `path` the beginning of a finding's path
    (`services.app`) or a pattern of it; both empty accept the rule everywhere.
    """

    rule: str
    reason: str
    file: str = ""
    path: str = ""

    def accepts(self, finding: Finding) -> bool:
        """Say whether a finding is accepted here."""
        below = finding.path == self.path or finding.path.startswith(f"{self.path}.")
        return (
            finding.rule == self.rule
            and (not self.file or fnmatch(finding.file, self.file))
            and (not self.path or below or fnmatch(finding.path, self.path))
        )


@dataclass(frozen=True, slots=True)
class LintSettings:
    """
    A project's settings for the linter; each has a default.

    `fail_on` is the mildest severity that fails; `rules` gives a rule `off` or another
    severity; `start_timeout` are the seconds that a start waits for health (0: nobody
    waits) and `memory` the bytes that the machine has for containers (0: not known);
    `exclude` are patterns of files that are left out; `baseline` is a file of findings
    that were there before; `labels` are those that the project's configuration states
    by service, as a compose file could.

    >>> LintSettings(rules={"root-user": "off"}).severity("root-user", "warning")
    'off'
    """

    fail_on: str = "error"
    rules: Mapping[str, str] = field(default_factory=dict)
    start_timeout: float = 0.0
    memory: int = 0
    exclude: tuple[str, ...] = ()
    accept: tuple[AcceptedRule, ...] = ()
    baseline: Path | None = None
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def severity(self, rule: str, default: str) -> str:
        """Return the severity of a rule's finding, `off` for none."""
        return self.rules.get(rule, default)

    def excludes(self, file: str) -> bool:
        """Say whether findings in a file are left out."""
        return any(
            fnmatch(file, one) or file.startswith(f"{one.rstrip('/')}/")
            for one in self.exclude
        )

    def fails(self, finding: Finding) -> bool:
        """Say whether a finding ends the task with a failure."""
        if self.fail_on == "never":
            return False
        return SEVERITIES.index(finding.severity) <= SEVERITIES.index(self.fail_on)


def check_settings(settings: LintSettings, rules: Mapping[str, object]) -> None:
    """
    Check settings against the rules that exist.

    Raises UsageError for an unknown `fail_on`, ConfigurationError for a rule that does
    not exist, a severity that is none, or an acceptance without a reason.
    """
    if settings.fail_on not in FAIL_ON:
        raise UsageError(
            f"there is no severity {settings.fail_on!r}",
            hint=f"--fail-on takes one of {', '.join(FAIL_ON)}",
        )
    named = [*settings.rules, *(one.rule for one in settings.accept)]
    for name in named:
        if name not in rules:
            raise ConfigurationError(
                f"[lint] names the rule {name!r}, which does not exist",
                hint="docs/rules.md lists the rules",
            )
    for name, severity in settings.rules.items():
        if severity not in {OFF, *SEVERITIES}:
            raise ConfigurationError(
                f"[lint] gives {name} the severity {severity!r}",
                hint=f"use {OFF} or one of {', '.join(SEVERITIES)}",
            )
    for one in settings.accept:
        if not one.reason.strip():
            raise ConfigurationError(
                f"[lint] accepts {one.rule} without a reason", hint="state the reason"
            )
