"""
How stores ended when `down` removed their containers.

A backup of a store without a container would otherwise have to call its data crash
consistent. What is remembered counts only while nobody touched the data since.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from compose_ops.backup.policy import policies_of
from compose_ops.backup.store_backup import Ending
from compose_ops.docker.api import (
    PROJECT_LABEL,
    QUICK_TIMEOUT,
    Container,
)
from compose_ops.errors import ComposeOpsError
from compose_ops.runtime.context import StackContext
from compose_ops.state.store import StateFile
from compose_ops.units import parse_time

FILE = "endings.json"
ENDS = ("die", "oom")


@dataclass(frozen=True, slots=True)
class Endings:
    """How each store ended, by service."""

    stores: Mapping[str, Ending] = field(default_factory=dict)


STATE_FILE = StateFile(
    FILE,
    Endings,
    without="the next backup calls stores without a container crash consistent",
    is_cache=True,
)


def of(stack: StackContext, service: str) -> Ending | None:
    """Return how a store ended whose containers `down` removed, None for unknown."""
    return (STATE_FILE.load(stack.state) or Endings()).stores.get(service)


def remember(stack: StackContext, before: tuple[Container, ...]) -> None:
    """
    Note how the stores among *before*, which `down` removed, ended.

    How one ended that is not known is forgotten.
    """
    try:
        names = set(policies_of(stack))
    except ComposeOpsError:
        return  # labels that make no sense: then no backup is made, either
    found = {c.id: _exited(c) for c in before if c.state == "exited"}
    found |= dict(_events(stack))
    stores = {name: [c for c in before if c.service == name] for name in names}
    known = {
        name: _together([found[c.id] for c in there])
        for name, there in stores.items()
        if there and all(c.id in found for c in there)
    }
    kept = (STATE_FILE.load(stack.state) or Endings()).stores
    # What had no container before this `down` ended in an earlier one.
    kept = {n: one for n, one in kept.items() if not stores.get(n)}
    STATE_FILE.save(stack.state, Endings({**kept, **known}))


def _exited(container: Container) -> Ending:
    ended = container.finished.timestamp() if container.finished else 0.0
    return Ending(container.exit_code, ended, was_killed=container.oom_killed)


def _together(ends: list[Ending]) -> Ending:
    """Return how the containers of one service ended: the worst, the last."""
    worst = max(ends, key=lambda one: (one.was_killed, one.exit_code != 0))
    return Ending(worst.exit_code, max(e.ended for e in ends), worst.was_killed)


def _events(stack: StackContext) -> Iterator[tuple[str, Ending]]:
    """Yield how containers ended since the stack was opened, by the engine's clock."""
    opened = parse_time(str(stack.info.raw.get("SystemTime", "")))
    if opened is None:
        return
    until = opened + (time.time() - stack.info.seen[0]) + 1
    words = ("events", "--since", f"{opened:.3f}", "--until", f"{until:.3f}")
    filters = [f"event={name}" for name in ENDS]
    filters += ["type=container", f"label={PROJECT_LABEL}={stack.project}"]
    flags = [word for one in filters for word in ("--filter", one)]
    output = stack.engine.docker(
        *words, *flags, "--format", "{{json .}}", timeout=QUICK_TIMEOUT
    )
    killed: set[str] = set()
    for line in output.stdout.splitlines():
        event = json.loads(line)
        id_ = str(event.get("id", ""))
        if event.get("Action") == "oom":
            killed.add(id_)
            continue
        code = event.get("Actor", {}).get("Attributes", {}).get("exitCode", "")
        if code.isdigit():
            at = float(event.get("timeNano", 0)) / 1e9
            yield id_, Ending(int(code), at, was_killed=id_ in killed)
