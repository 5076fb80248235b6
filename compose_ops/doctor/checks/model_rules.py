"""What the merged model alone shows: the rules' findings in this mode."""

from collections.abc import Iterator

from compose_ops.doctor.registry import check
from compose_ops.lint import Finding
from compose_ops.verdicts import Verdict, command, fail, ok, warn

JUDGES = {"error": fail, "warning": warn}


@check(
    "model-rules",
    "No rule finds a fault in the compose files of this mode.",
    why="docs/rules.md says what each rule is about.",
)
def model_rules(findings: tuple[Finding, ...]) -> Iterator[Verdict]:
    open_ones = [f for f in findings if not f.accepted and f.severity in JUDGES]
    for one in open_ones:
        yield JUDGES[one.severity](
            f"{one.file}:{one.line}: {one.message} [{one.rule}]; {one.repair}",
            command("invoke", "lint", "--rule", one.rule),
            about=f"{one.rule} {one.path}",
        )
    if not open_ones:
        kept = sum(bool(f.accepted) for f in findings)
        yield ok(f"the rules find nothing, {kept} findings are accepted in place")
