"""An update as it runs: slots and probe live on a terminal, lines elsewhere."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from compose_ops.console import live_table, say
from compose_ops.rollout.traffic_probe import TrafficProbe

Say = Callable[[str], None]


@contextmanager
def displayed(service: str, probe: TrafficProbe | None) -> Iterator[Say]:
    """Yield what takes a step in words, "NAMES: what happens", and shows it."""
    if not sys.stderr.isatty():
        yield say
        return
    states: dict[str, str] = {}

    def note(step: str) -> None:
        names, _, what = step.partition(": ")
        states[names if what else service] = what or names

    with live_table(("container", "state"), lambda: rows(states, probe)):
        yield note


def rows(
    states: Mapping[str, str], probe: TrafficProbe | None
) -> list[tuple[str, str]]:
    """Return each slot with what happens to it, and what the probe has seen."""
    seen = [("probe", probe.summary().line())] if probe else []
    return [*states.items(), *seen]
