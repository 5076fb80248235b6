"""A report as one JSON object with a schema version."""

from typing import Any

from compose_ops.errors import ComposeOpsError
from compose_ops.lint.report import LintReport, by_rule
from compose_ops.redaction import json_text

SCHEMA = 1


def as_json(report: LintReport) -> str:
    """Return the report as text."""
    return json_text(as_object(report), indent=None) + "\n"


def as_object(report: LintReport) -> dict[str, Any]:
    """Return the report as the task's JSON object; accepted ones stand apart."""
    return {
        "schema": SCHEMA,
        "findings": [one.as_json() for one in report.open],
        "accepted": [one.as_json() for one in report.accepted],
        "known": len(report.known),
        "failing": len(report.failing),
        "summary": [
            {"severity": severity, "rule": rule, "count": count}
            for severity, rule, count in by_rule(report.open)
        ],
        "skipped": [
            {
                "rule": one.rule,
                "needs": one.needs,
                "count": one.count,
                "services": list(one.services),
            }
            for one in report.skipped
        ],
    }


def refusal_as_json(error: ComposeOpsError) -> str:
    """Return the object of a run that could not judge."""
    return (
        json_text(
            {
                "schema": SCHEMA,
                "findings": [],
                "accepted": [],
                "error": {
                    "message": error.message,
                    "hint": error.hint,
                    "code": error.exit_code,
                },
            },
            indent=None,
        )
        + "\n"
    )
