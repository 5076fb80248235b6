"""
The registry: facts that are collected once, and checks that judge them.

A function's parameters are the facts that it needs, of a collector as of a check's
judgement. Judgements are pure: they get values and never ask the machine.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from compose_ops.verdicts import Verdict

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")

GIVEN = frozenset({"stack", "scope"})
"""Facts that the caller provides."""


class NotMeasuredError(Exception):
    """A fact that cannot be measured here, and why; checks that need it are skipped."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something collected from the machine within `limit` seconds."""

    name: str
    needs: tuple[str, ...]
    limit: float
    collect: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Check:
    """One judgement: `summary` is the requirement, `why` what happens without it."""

    id: str
    topic: str
    summary: str
    why: str
    needs: tuple[str, ...]
    judge: Callable[..., Iterable[Verdict]]


FACTS: dict[str, Fact] = {}
CHECKS: dict[str, Check] = {}


def fact(
    *, limit: float
) -> Callable[[Callable[Parameters, Value]], Callable[Parameters, Value]]:
    """Register the function below as the collector of the fact of its name."""

    def register(collect: Callable[Parameters, Value]) -> Callable[Parameters, Value]:
        name = collect.__name__
        FACTS[name] = Fact(name, _parameters(collect), limit, collect)
        return collect

    return register


def check(
    name: str, summary: str, *, why: str
) -> Callable[
    [Callable[Parameters, Iterator[Verdict]]], Callable[Parameters, Iterator[Verdict]]
]:
    """Register the generator below as a check of its module's topic."""

    def register(
        judge: Callable[Parameters, Iterator[Verdict]],
    ) -> Callable[Parameters, Iterator[Verdict]]:
        topic = judge.__module__.rpartition(".")[2]
        CHECKS[name] = Check(name, topic, summary, why, _parameters(judge), judge)
        return judge

    return register


def closure(names: Iterable[str]) -> set[str]:
    """Return the facts *names* and all that they need, directly or through others."""
    found: set[str] = set()
    waiting = [name for name in names if name not in GIVEN]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [need for need in FACTS[name].needs if need not in GIVEN]
    return found


def limit(check: Check) -> float:
    """Return the seconds after which a check no longer waits for its facts."""

    def longest(name: str) -> float:
        if name in GIVEN:
            return 0.0
        known = FACTS[name]
        return known.limit + max(map(longest, known.needs), default=0.0)

    return max(map(longest, check.needs), default=0.0)


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    code = function.__code__  # inspect.signature takes 15 ms for all of them
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
