"""Judge subjects by the rules: findings with their place, accepted ones marked."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

from compose_ops.lint.composefile import locate
from compose_ops.lint.finding import SEVERITIES, Finding, RawFinding
from compose_ops.lint.registry import Rule, registered
from compose_ops.lint.suppressions import Acceptance, Place, acceptances
from compose_ops.lint.target import LintTarget

TOPICS = (
    "declarations",
    "health",
    "commands",
    "ports",
    "networks",
    "storage",
    "environment",
    "secrets",
    "gpu",
    "resources",
    "security",
    "images",
    "builds",
    "updates",
    "suppressions",
)


@cache
def all_rules() -> Mapping[str, Rule]:
    """Return all rules by id, in the order of their topics."""
    for topic in TOPICS:
        import_module(f"compose_ops.lint.rules.{topic}")
    return registered()


def check(
    subject: LintTarget, only: Collection[str] | None = None
) -> tuple[Finding, ...]:
    """
    Return a subject's findings, by file and line; `only` names the rules to ask.

    Accepted findings are there with the reason in `accepted`. Raises KeyError for a
    rule that does not exist.
    """
    stated = acceptances(subject)
    return ordered(finding for finding, _ in judge(subject, chosen(only), stated))


def check_all(
    subjects: Sequence[LintTarget], only: Collection[str] | None = None
) -> tuple[Finding, ...]:
    """
    Return the findings of a project's combinations, each fault once.

    `combinations` of a finding names all that show it. What is accepted and matches
    nothing in any combination is a finding of its own, of the rules that were asked.
    """
    asked = chosen(only)
    found: dict[tuple[str, str, int, str], Finding] = {}
    used: set[Place] = set()
    stated: dict[Place, tuple[Acceptance, LintTarget]] = {}
    for subject in subjects:
        accepted = acceptances(subject)
        for finding, acceptance in judge(subject, asked, accepted):
            key = (finding.rule, finding.file, finding.line, finding.message)
            found[key] = joined(found.get(key), finding)
            if acceptance:
                used.add(acceptance.place)
        for one in accepted:
            stated.setdefault(one.place, (one, subject))
    idle = [
        idle_finding(one, subject)
        for key, (one, subject) in stated.items()
        if key not in used and (only is None or one.rule in asked)
    ]
    return ordered([*found.values(), *idle])


def unaccepted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that nobody accepted."""
    return tuple(finding for finding in findings if not finding.accepted)


def chosen(only: Collection[str] | None) -> dict[str, Rule]:
    known = all_rules()
    return {name: known[name] for name in only} if only is not None else dict(known)


def judge(
    subject: LintTarget, asked: Mapping[str, Rule], stated: Sequence[Acceptance]
) -> Iterator[tuple[Finding, Acceptance | None]]:
    """Yield each finding of a subject with what accepts it."""
    for rule in (one for one in asked.values() if one.scope in subject.scopes):
        for hit in rule.look(subject):
            file, line = place(subject, hit)
            accepting = [
                one
                for one in stated
                if rule.acceptable and one.accepts(rule.id, hit, file, line)
            ]
            finding = make_finding(subject, rule, hit, file, line)
            if accepting:
                yield replace(finding, accepted=accepting[0].reason), accepting[0]
            else:
                yield finding, None


def place(subject: LintTarget, hit: RawFinding) -> tuple[Path, int]:
    """Return the file and line of a hit."""
    if hit.file is not None:
        return hit.file, hit.line
    if not subject.documents:
        return subject.root, 0
    return locate(subject.documents, hit.path)


def make_finding(
    subject: LintTarget, rule: Rule, hit: RawFinding, file: Path, line: int
) -> Finding:
    return Finding(
        rule.id,
        hit.severity or rule.severity,
        shown(file, subject.root),
        line,
        hit.message,
        rule.repair,
        ".".join(str(step) for step in hit.path),
        (subject.name,),
    )


def shown(file: Path, root: Path) -> str:
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)


def joined(before: Finding | None, finding: Finding) -> Finding:
    if before is None:
        return finding
    worse = min(before.severity, finding.severity, key=SEVERITIES.index)
    names = dict.fromkeys((*before.combinations, *finding.combinations))
    accepted = before.accepted and finding.accepted
    return replace(before, severity=worse, combinations=tuple(names), accepted=accepted)


def idle_finding(one: Acceptance, subject: LintTarget) -> Finding:
    """Return the finding for an acceptance that accepts nothing, and why."""
    known = all_rules()
    if one.rule not in known:
        message = f"{one.rule} is no rule"
    elif not one.reason:
        message = f"{one.rule} is accepted without a reason"
    elif not known[one.rule].acceptable:
        message = f"{one.rule} cannot be accepted"
    else:
        message = f"{one.rule} is accepted here and finds nothing"
    hit = RawFinding(one.paths[0] if one.paths else (), message)
    return make_finding(subject, known["accepted-nothing"], hit, one.file, one.line)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: (f.file, f.line, f.rule, f.message)))
