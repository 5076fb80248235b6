"""What the rules find in the model of this mode on this machine."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from compose_ops.docker.api import EngineInfo
from compose_ops.doctor.registry import fact
from compose_ops.lint import Finding, LintTarget, Machine, all_rules, check, composefile
from compose_ops.lint.composefile import Document
from compose_ops.lint.loader import Combination, assemble
from compose_ops.lint.tolerant_config import Merged
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext

START_SECONDS = 300.0
"""How long a start waits for health unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Written:
    """The mode's files as they are written, and what the other modes' files add."""

    mode: tuple[Document, ...]
    others: tuple[dict[str, Any], ...]


@fact(limit=15)
def written(stack: StackContext) -> Written:
    """Read the compose files, while Compose merges them."""
    all_rules()
    files = list(stack.mode.files)
    return Written(composefile.read_all(files), tuple(_other_modes(stack)))


@fact(limit=15)
def subject(stack: StackContext, model: Model, written: Written) -> LintTarget:
    """Return the mode's files with the model that Compose has merged already."""
    one = Combination(str(stack.mode), stack.mode.files, stack.mode.environment)
    merged = Merged(dict(model.raw))
    made = assemble([one], [written.mode], [merged], root=stack.root)[0]
    return replace(made, others=written.others, start_timeout=START_SECONDS)


def _other_modes(stack: StackContext) -> Iterator[dict[str, Any]]:
    """Yield which networks the other modes' files add: they may open a service."""
    alone = [mode for mode in stack.modes.modes.values() if not mode.combines]
    for path in dict.fromkeys(file for mode in alone for file in mode.files):
        if path not in stack.mode.files and path.exists():
            written = composefile.read(path).root.plain()
            services: dict[str, Any] = written.get("services") or {}
            yield {
                "services": {
                    key: {"networks": dict.fromkeys((spec or {}).get("networks") or ())}
                    for key, spec in services.items()
                },
                "networks": written.get("networks") or {},
            }


@fact(limit=15)
def findings(subject: LintTarget) -> tuple[Finding, ...]:
    return check(replace(subject, scopes=frozenset({"combination"})))


@fact(limit=4)
def cpu_findings(subject: LintTarget, info: EngineInfo) -> tuple[Finding, ...]:
    """Return what asks for more cores than the engine has."""
    machine = Machine(memory=info.memory, cpus=float(info.cpus))
    return check(replace(subject, machine=machine), {"cpus-beyond-engine"})
