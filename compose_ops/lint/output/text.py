"""A report for a person: the worst first, each fault once, what to mend first."""

from collections.abc import Iterator

from compose_ops.lint.finding import SEVERITIES
from compose_ops.lint.output.escaping import plain
from compose_ops.lint.report import (
    Fault,
    LintReport,
    by_rule,
    faults,
    first_three,
    plural,
    service_of,
)

MANY = 5
"""From this many findings on a summary by rule, and where to begin, is worth it."""


def as_text(report: LintReport) -> str:
    """Return the report as lines of text."""
    return "\n".join(lines(report)) + "\n"


def lines(report: LintReport) -> Iterator[str]:
    listed = sorted(
        faults(report.open), key=lambda f: SEVERITIES.index(f.first.severity)
    )
    repaired: set[str] = set()
    for fault in listed:
        yield from fault_lines(fault, with_repair=fault.first.rule not in repaired)
        repaired.add(fault.first.rule)
    if len(report.open) >= MANY:
        yield ""
        yield from summary(report)
    yield counts(report)


def fault_lines(fault: Fault, *, with_repair: bool) -> Iterator[str]:
    """Yield a fault's line, where else it is, and how to mend it the first time."""
    one = fault.first
    place = f"{one.file}:{one.line}:{one.column}"
    yield plain(f"{place}: {one.severity}: {one.message} [{one.rule}]")
    more = fault.services
    if more:
        names = sorted({service_of(f) for f in fault.others} - {service_of(one), ""})
        shown = f": {', '.join(names)}" if more <= 3 else ""  # noqa: PLR2004
        yield plain(f"    also in {plural(more, 'service')}{shown}")
    elif fault.others:
        yield f"    also at {plural(len(fault.others), 'further place')}"
    if with_repair:
        yield plain(f"    {one.repair}")


def summary(report: LintReport) -> Iterator[str]:
    width = max(len(rule) for _, rule, _ in by_rule(report.open))
    for severity, rule, number in by_rule(report.open):
        yield f"{number:5}  {rule:{width}}  {severity}"
    chosen = first_three(report.open)
    if len(chosen) > 1:
        yield ""
        yield f"Fix these {('two', 'three')[len(chosen) - 2]} first:"
        for number, fault in enumerate(chosen, 1):
            one = fault.first
            yield plain(f"  {number}. {one.file}:{one.line} {one.message}")
    yield ""


def counts(report: LintReport) -> str:
    """Return the last line: rules asked, findings, and what was not judged."""
    found = [f"{report.rules} rules, {plural(len(report.open), 'finding')}"]
    found.append(f"{len(report.accepted)} accepted")
    if report.known:
        found.append(f"{len(report.known)} known from the baseline")
    if report.skipped:
        rules = len({one.rule for one in report.skipped})
        needs = sorted({one.needs for one in report.skipped})
        found.append(f"{plural(rules, 'rule')} not fully judged ({', '.join(needs)})")
    return ", ".join(found)
