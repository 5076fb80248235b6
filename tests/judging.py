"""Judge constructed facts: what the tests of doctor's checks share."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jimbot_stack import checks
from jimbot_stack.checks.examination import judged
from jimbot_stack.checks.verdict import Row
from jimbot_stack.mode import Mode

STACK = SimpleNamespace(root=Path("/checkout"), project="trial", mode=Mode())
OFFLINE = SimpleNamespace(root=STACK.root, project="trial", mode=Mode(offline=True))
PROD = SimpleNamespace(root=STACK.root, project="trial", mode=Mode("prod"))


def judge(name: str, **facts: Any) -> Row:
    """Return the row of a check that gets only the facts that it needs."""
    check = checks.registered()[name]
    needed = {need: facts[need] for need in check.needs}
    return Row(name, check.topic, judged(check.judge, needed))
