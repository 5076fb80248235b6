"""A report as text, JSON, SARIF or annotations: pure functions, printed elsewhere."""

from collections.abc import Callable, Mapping

from compose_ops.errors import ComposeOpsError, UsageError
from compose_ops.lint.output.annotations import annotations
from compose_ops.lint.output.json_text import as_json, refusal_as_json
from compose_ops.lint.output.sarif import as_sarif, refusal_as_sarif
from compose_ops.lint.output.text import as_text
from compose_ops.lint.report import LintReport

FORMATS: Mapping[str, Callable[[LintReport], str]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
    "github": annotations,
}


def rendered(report: LintReport, form: str) -> str:
    """Return a report in a format. Raises UsageError for one that does not exist."""
    check_format(form)
    return FORMATS[form](report)


def check_format(form: str) -> None:
    """Raise UsageError for a format that does not exist."""
    if form not in FORMATS:
        raise UsageError(
            f"there is no format {form!r}",
            hint=f"--format takes one of {', '.join(FORMATS)}",
        )


def refused(error: ComposeOpsError, form: str) -> str:
    """Return what stdout says of a run that ended before it judged, empty for text."""
    if form == "json":
        return refusal_as_json(error)
    return refusal_as_sarif(error) if form == "sarif" else ""


__all__ = ["FORMATS", "check_format", "refused", "rendered"]
