"""Judge subjects by the rules: findings with their place, accepted ones marked."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

from compose_ops.lint.composefile import Position, position
from compose_ops.lint.finding import SEVERITIES, Finding, RawFinding
from compose_ops.lint.placeholders import IMAGE, PATH
from compose_ops.lint.registry import Rule, registered
from compose_ops.lint.report import Skipped
from compose_ops.lint.suppressions import Acceptance, Place, acceptances
from compose_ops.lint.target import LintTarget
from compose_ops.project.interpolation import variables

TOPICS = (
    "declarations",
    "health",
    "commands",
    "ports",
    "networks",
    "storage",
    "backups",
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
    Return a subject's findings, the worst first; `only` names the rules to ask.

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
        of_rule = [one for one in stated if rule.acceptable and one.rule == rule.id]
        for hit in rule.look(subject):
            if rests_on_placeholder(subject, rule, hit):
                continue
            at = place(subject, hit)
            accepting = [
                one for one in of_rule if one.accepts(rule.id, hit, at.file, at.line)
            ]
            finding = make_finding(subject, rule, hit, at)
            if accepting:
                yield replace(finding, accepted=accepting[0].reason), accepting[0]
            else:
                yield finding, None


READS_TEXT = frozenset(
    {
        "variable-empty",
        "variable-undocumented",
        "variable-unused",
        "secret-in-environment",
        "refused-by-compose",
        "port-on-all-interfaces",
        "declared-unused",
    }
)
"""Rules that judge what is written, not the value that a variable has."""


def rests_on_placeholder(subject: LintTarget, rule: Rule, hit: RawFinding) -> bool:
    """Say whether a hit judges a value that only stands in for a variable."""
    if not subject.placeholders or rule.id in READS_TEXT:
        return False
    standing = {IMAGE, PATH.removeprefix("./"), "64999", "192.0.2."}
    if any(one in hit.message for one in standing):
        return True
    nodes = [one.find(hit.path) for one in subject.documents]
    names = {
        name for node in nodes if node is not None for name, _ in variables(node.text())
    }
    return bool(names & set(subject.placeholders))


def place(subject: LintTarget, hit: RawFinding) -> Position:
    """Return the file, line and column of a hit."""
    if hit.file is not None:
        return Position(hit.file, hit.line, hit.column)
    if not subject.documents:
        return Position(subject.root, 0)
    return position(subject.documents, hit.path)


def make_finding(
    subject: LintTarget, rule: Rule, hit: RawFinding, at: Position
) -> Finding:
    return Finding(
        rule.id,
        hit.severity or rule.severity,
        shown(at.file, subject.root),
        at.line,
        hit.message,
        rule.repair,
        ".".join(str(step) for step in hit.path),
        (subject.name,),
        column=at.column,
    )


def shown(file: Path, root: Path) -> str:
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)


def skipped(
    subjects: Sequence[LintTarget], only: Collection[str] | None = None
) -> tuple[Skipped, ...]:
    """Return the rules that could not judge everything, and for how many services."""
    found: dict[tuple[str, str], set[str]] = {}
    for subject in subjects:
        lacking = {need: lacks_of(subject, need) for need in NEEDS}
        for rule in chosen(only).values():
            for need in rule.needs if rule.scope in subject.scopes else ():
                if lacking[need]:
                    found.setdefault((rule.id, NEEDS[need]), set()).update(
                        lacking[need]
                    )
    return tuple(
        Skipped(rule, need, len(names), tuple(sorted(names)))
        for (rule, need), names in found.items()
    )


NEEDS = {
    "files": "the files",
    "model": "Compose's merged model",
    "dockerfile": "a Dockerfile that can be read",
    "image": "what is in the image",
    "engine": "the engine's size",
}


def lacks_of(subject: LintTarget, need: str) -> set[str]:
    """Return the services, or the set of files, for which a need is not at hand."""
    if need == "model":
        missing = "combination" in subject.scopes and not subject.model
        return {subject.name} if missing else set()
    if need == "dockerfile":
        return {s.name for s in subject.services if s.get("build") and not s.build}
    if need == "image":
        return {
            s.name
            for s in subject.services
            if not s.facts.known or (s.get("build") and not s.build)
        }
    if need == "engine":
        return set() if subject.machine.cpus else {subject.name}
    return set()


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
    at = Position(one.file, one.line)
    return make_finding(subject, known["accepted-nothing"], hit, at)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(
        sorted(
            findings,
            key=lambda f: (
                SEVERITIES.index(f.severity),
                f.file,
                f.line,
                f.rule,
                f.message,
            ),
        )
    )
