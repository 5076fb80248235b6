"""
Compose's hash of each service: a container made from another one is out of date.

To ask Compose takes as long as to merge the files. The answer depends on the merged
model and on Compose alone, so `invoke up` remembers it for the model that it started.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from compose_ops.errors import ComposeOpsError
from compose_ops.runtime.context import StackContext
from compose_ops.state.store import StateFile

FILE = "hashes.json"


@dataclass(frozen=True, slots=True)
class ConfigHashes:
    """Compose's hash of each service, for a merged model with this digest."""

    model: str
    hashes: Mapping[str, str]


STATE_FILE = StateFile(
    FILE, ConfigHashes, without="Compose is asked for the hashes", is_cache=True
)


def of(stack: StackContext) -> Mapping[str, str]:
    """Return the hash of each service, as its containers should have it."""
    return _remembered(stack) or stack.engine.config_hashes()


def remember(stack: StackContext) -> None:
    """Ask Compose, unless its answer for this model is known; never fail for it."""
    with suppress(ComposeOpsError, OSError):
        if not _remembered(stack):
            hashes = ConfigHashes(_digest(stack), stack.engine.config_hashes())
            STATE_FILE.save(stack.state, hashes)


def _remembered(stack: StackContext) -> Mapping[str, str]:
    known = STATE_FILE.load(stack.state)
    return known.hashes if known and known.model == _digest(stack) else {}


def _digest(stack: StackContext) -> str:
    compose = stack.plugins.get("compose", "")
    # The containers whose namespaces others share are in the hashes of these.
    shared = stack.model.namespace_owners
    ids = [(c.name, c.id) for c in stack.containers if c.service in shared]
    text = json.dumps([compose, stack.model.raw, ids], sort_keys=True)
    return sha256(text.encode()).hexdigest()
