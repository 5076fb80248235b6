"""A report as SARIF 2.1.0, which code scanning services read."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from compose_ops.errors import ComposeOpsError
from compose_ops.lint.baseline import fingerprint
from compose_ops.lint.check import all_rules
from compose_ops.lint.finding import Finding, help_link
from compose_ops.lint.report import LintReport
from compose_ops.redaction import json_text

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"error": "error", "warning": "warning", "note": "note"}


def as_sarif(report: LintReport) -> str:
    """Return the report as a SARIF log."""
    shown = (*report.open, *report.accepted)
    return log(rules(shown), [result(one) for one in shown], successful=True)


def log(
    listed: Sequence[dict[str, Any]],
    results: Sequence[dict[str, Any]],
    *,
    successful: bool,
    notices: Sequence[dict[str, Any]] = (),
) -> str:
    run = {
        "tool": {"driver": {"name": "compose-ops lint", "rules": list(listed)}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"ROOT": {"description": {"text": "the project"}}},
        "invocations": [
            {
                "executionSuccessful": successful,
                **({"toolExecutionNotifications": list(notices)} if notices else {}),
            }
        ],
        "results": list(results),
    }
    whole = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json_text(whole, indent=None) + "\n"


def rules(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return the rules that these findings name, each once."""
    known = all_rules()
    return [
        {
            "id": name,
            "shortDescription": {"text": known[name].summary},
            "fullDescription": {"text": known[name].why},
            "help": {"text": f"{known[name].repair} See {help_link(name)}."},
            "defaultConfiguration": {"level": LEVELS[known[name].severity]},
        }
        for name in dict.fromkeys(one.rule for one in findings)
    ]


def result(finding: Finding) -> dict[str, Any]:
    """Return one finding as a result; an accepted one is suppressed."""
    place: dict[str, Any] = {
        "artifactLocation": artifact(finding.file),
        "region": {"startLine": max(finding.line, 1), "startColumn": finding.column},
    }
    found: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"finding/v1": fingerprint(finding)},
    }
    if finding.accepted:
        found["suppressions"] = [
            {"kind": "inSource", "justification": finding.accepted}
        ]
    return found


def artifact(file: str) -> dict[str, str]:
    if file.startswith("/"):
        return {"uri": f"file://{quote(file)}"}
    return {"uri": quote(file), "uriBaseId": "ROOT"}


def refusal_as_sarif(error: ComposeOpsError) -> str:
    """Return the log of a run that could not judge."""
    notice = {"level": "error", "message": {"text": error.message}}
    return log([], [], successful=False, notices=[notice])
