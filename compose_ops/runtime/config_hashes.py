"""
Compose's hash of each service: a container made from another one is out of date.

To ask Compose takes as long as to merge the files. The answer depends on the merged
model and on Compose alone, so `invoke up` remembers it for the model that it started.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256

from compose_ops.errors import ComposeOpsError
from compose_ops.project.env_file import write_private
from compose_ops.runtime.context import StackContext

FILE = "hashes.json"


def of(stack: StackContext) -> Mapping[str, str]:
    """Return the hash of each service as the files say it now."""
    return _remembered(stack) or stack.engine.config_hashes()


def remember(stack: StackContext) -> None:
    """Ask Compose, unless its answer for this model is known; never fail for it."""
    with suppress(ComposeOpsError, OSError):
        if not _remembered(stack):
            kept = {"model": _digest(stack), "hashes": stack.engine.config_hashes()}
            stack.state.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(stack.state / FILE, json.dumps(kept, indent=1))


def _remembered(stack: StackContext) -> dict[str, str]:
    try:
        kept = json.loads((stack.state / FILE).read_text())
        known: dict[str, str] = kept["hashes"]
        return known if kept["model"] == _digest(stack) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _digest(stack: StackContext) -> str:
    compose = stack.plugins.get("compose", "")
    text = json.dumps([compose, stack.model.raw], sort_keys=True)
    return sha256(text.encode()).hexdigest()
