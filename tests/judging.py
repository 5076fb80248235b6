"""Judge constructed facts: what the tests of doctor's checks share."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jimbot_stack import checks
from jimbot_stack.checks.examination import judged
from jimbot_stack.checks.verdict import Row
from jimbot_stack.mode import Mode


def stack(mode: Mode) -> Any:
    """Return what judgements ask of a stack."""
    root = Path("/checkout")
    return SimpleNamespace(root=root, project="trial", mode=mode, other_checkout=None)


STACK = stack(Mode())
OFFLINE = stack(Mode(offline=True))
PROD = stack(Mode("prod"))


def judge(name: str, **facts: Any) -> Row:
    """Return the row of a check that gets only the facts that it needs."""
    check = checks.registered()[name]
    needed = {need: facts[need] for need in check.needs}
    return Row(name, check.topic, judged(check.judge, needed))
