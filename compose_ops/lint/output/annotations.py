"""A report as workflow commands, which GitHub shows beside the lines."""

from compose_ops.lint.finding import help_link
from compose_ops.lint.output.escaping import annotation_data, annotation_property
from compose_ops.lint.report import LintReport, faults

COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def annotations(report: LintReport) -> str:
    """Return one command per open fault, each on a line of its own."""
    lines = []
    for fault in faults(report.open):
        one = fault.first
        properties = {
            "file": one.file,
            "line": str(max(one.line, 1)),
            "col": str(one.column),
            "title": one.rule,
        }
        listed = ",".join(
            f"{k}={annotation_property(v)}" for k, v in properties.items()
        )
        also = f" (also in {fault.services} services)" if fault.services else ""
        text = f"{one.message}{also}. {one.repair} {help_link(one.rule)}"
        lines.append(f"::{COMMANDS[one.severity]} {listed}::{annotation_data(text)}")
    return "".join(f"{line}\n" for line in lines)
