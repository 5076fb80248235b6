"""The findings of lint's rules in the merged model of this mode."""

from collections.abc import Iterator

from compose_ops.doctor.registry import check
from compose_ops.lint import Finding
from compose_ops.verdicts import Verdict, command, fail, ok, warn

JUDGES = {"error": fail, "warning": warn}


@check(
    "model-rules",
    "Lint finds no fault in the compose files of this mode.",
    why="docs/rules.md describes each rule.",
)
def model_rules(findings: tuple[Finding, ...]) -> Iterator[Verdict]:
    problems = [f for f in findings if not f.accepted and f.severity in JUDGES]
    for finding in problems:
        yield JUDGES[finding.severity](
            f"{finding.file}:{finding.line}: {finding.message} [{finding.rule}]; "
            f"{finding.repair}",
            command("invoke", "lint", "--rule", finding.rule),
            about=f"{finding.rule} {finding.path}",
        )
    if not problems:
        accepted = sum(bool(f.accepted) for f in findings)
        yield ok(f"no findings; {accepted} are suppressed in the files")
