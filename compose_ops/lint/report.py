"""What a run of the linter found, and how findings are put together for a reader."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from compose_ops.errors import FindingsFound
from compose_ops.lint.finding import SEVERITIES, Finding
from compose_ops.lint.settings import LintSettings


@dataclass(frozen=True, slots=True)
class Skipped:
    """
    A rule that could not judge: what it needs, and for how many services or runs.

    `services` are their names, those of file sets where the whole set is concerned.
    """

    rule: str
    needs: str
    count: int
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LintReport:
    """
    The findings of a run, the accepted ones with their reason.

    `known` are findings that the baseline holds; `skipped` what could not be judged
    and why; `rules` the number of rules that were asked.
    """

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...] = ()
    known: tuple[Finding, ...] = ()
    rules: int = 0
    settings: LintSettings = field(default_factory=LintSettings)

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that nobody accepted."""
        return tuple(one for one in self.findings if not one.accepted)

    @property
    def accepted(self) -> tuple[Finding, ...]:
        """The findings that somebody accepted, with the reason."""
        return tuple(one for one in self.findings if one.accepted)

    @property
    def failing(self) -> tuple[Finding, ...]:
        """The findings that end the task with a failure."""
        return tuple(one for one in self.open if self.settings.fails(one))

    def refuse(self) -> None:
        """Raise FindingsFound when a finding of the severity that fails is open."""
        if not self.failing:
            return
        counts = Counter(one.severity for one in self.failing)
        words = [plural(counts[s], s) for s in SEVERITIES if counts[s]]
        raise FindingsFound(
            f"{' and '.join(words)} that nobody accepted",
            hint="`--explain RULE` says why; docs/rules.md says how to accept one",
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault at one or several places, of which the first is shown."""

    first: Finding
    others: tuple[Finding, ...] = ()

    @property
    def services(self) -> int:
        """The number of further services that show it."""
        named = {service_of(one) for one in self.others} - {service_of(self.first), ""}
        return len(named)


def plural(number: int, word: str) -> str:
    """Return a count with its word: `1 error`, `3 errors`."""
    return f"{number} {word}" + ("" if number == 1 else "s")


def service_of(finding: Finding) -> str:
    """Return the service that a finding is about, empty for none."""
    first, _, rest = finding.path.partition(".")
    return rest.partition(".")[0] if first == "services" else ""


def faults(findings: Sequence[Finding]) -> list[Fault]:
    """
    Return the findings as faults, each once, the worst first.

    The same fault in several services, and what several services take from one line,
    are one.
    """
    grouped: dict[tuple[str, ...], list[Finding]] = {}
    worse = {(f.file, f.line) for f in findings if f.rule == "well-known-password"}
    for one in findings:
        if one.rule == "secret-in-environment" and (one.file, one.line) in worse:
            continue  # the same password: the finding beside it says more
        service = service_of(one)
        message = one.message.replace(service, "*") if service else one.message
        grouped.setdefault((one.severity, one.rule, message), []).append(one)
    merged: dict[tuple[str, ...], list[Finding]] = {}
    for key, members in grouped.items():
        first = members[0]
        several = len(members) > 1
        place = key if several else (first.rule, first.file, str(first.line))
        merged.setdefault(place, []).extend(members)
    return [Fault(members[0], tuple(members[1:])) for members in merged.values()]


def first_three(findings: Sequence[Finding]) -> list[Fault]:
    """Return the three faults to mend first: errors, those in most places first."""
    errors = [one for one in faults(findings) if one.first.severity == "error"]
    picked: dict[str, Fault] = {}
    for one in sorted(errors, key=lambda fault: -len(fault.others)):
        picked.setdefault(one.first.rule, one)
    rest = [one for one in errors if one is not picked[one.first.rule]]
    return [*picked.values(), *rest][:3]


def by_rule(findings: Sequence[Finding]) -> Iterator[tuple[str, str, int]]:
    """Yield severity, rule and number of findings, the worst and most first."""
    counts = Counter((one.severity, one.rule) for one in findings)
    order = sorted(
        counts.items(), key=lambda c: (SEVERITIES.index(c[0][0]), -c[1], c[0][1])
    )
    for (severity, rule), number in order:
        yield severity, rule, number
