"""The registry: a rule is a small function, with what a reader needs beside it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.target import LintTarget

Look = Callable[[LintTarget], Iterator[RawFinding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """
    A rule; `look` yields its hits in a subject and changes nothing.

    `source` says how the fault was shown: a measurement with the version it was run
    on, or an upstream file, thread or page. `acceptable` is False for the few faults
    that no reason excuses. `scope` is `project` for a rule that needs all files of a
    project at once, else `combination`. `needs` is what it must know: `model` (what
    Compose merges), `dockerfile`, `image` (what is in a service's image), `engine`; a
    rule is skipped, and counted, where that is not at hand.
    """

    id: str
    topic: str
    severity: str
    summary: str
    why: str
    source: str
    repair: str
    look: Look
    acceptable: bool = True
    scope: str = "combination"
    needs: tuple[str, ...] = ("model",)


_RULES: dict[str, Rule] = {}


def rule(
    name: str,
    severity: str,
    summary: str,
    *,
    why: str,
    source: str,
    repair: str,
    acceptable: bool = True,
    scope: str = "combination",
    needs: tuple[str, ...] = ("model",),
) -> Callable[[Look], Look]:
    """Register the function below as a rule of its module's topic."""

    def register(look: Look) -> Look:
        topic = look.__module__.rpartition(".")[2]
        _RULES[name] = Rule(
            name,
            topic,
            severity,
            summary,
            why,
            source,
            repair,
            look,
            acceptable,
            scope,
            needs,
        )
        return look

    return register


def registered() -> dict[str, Rule]:
    """Return the rules registered so far, by id."""
    return _RULES
