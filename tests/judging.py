"""Judge constructed facts: what the tests of doctor's checks share."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from repository import CONFIG, own_modes

from compose_ops.config import Config
from compose_ops.doctor import requirements
from compose_ops.project.modes import Mode
from compose_ops.verdicts import Row, judged


def stack(mode: Mode) -> Any:
    """Return what judgements ask of a stack."""
    root = Path("/checkout")
    config = Config(init=CONFIG.init, folder=root)
    facts = {"root": root, "project": "trial", "mode": mode, "config": config}
    facts["backups"] = root / "backups"
    facts["modes"] = own_modes()
    return SimpleNamespace(**facts, other_checkout=None, product_files=())


STACK = stack(Mode())
OFFLINE = stack(Mode(("offline",), substitutes=True))
PROD = stack(Mode(("prod",), production=True))


def judge(name: str, **facts: Any) -> Row:
    """Return the row of a check that gets only the facts that it needs."""
    check = requirements.registered()[name]
    needed = {need: facts[need] for need in check.needs}
    return Row(name, check.topic, judged(check.judge, needed))
