"""What must hold before anything is changed on a Swarm."""

from collections.abc import Mapping, Sequence
from typing import Any

from compose_ops.console import say
from compose_ops.docker.api import Node
from compose_ops.errors import ConfigurationError
from compose_ops.runtime.context import StackContext
from compose_ops.swarm import mounts, placement

SAFE_MANAGERS = 3
NO_NEW_PRIVILEGES = "name=no-new-privileges"


def require_manager(stack: StackContext) -> None:
    """Return when the engine speaks for a Swarm; ConfigurationError otherwise."""
    swarm = stack.info.raw.get("Swarm") or {}
    if swarm.get("ControlAvailable"):
        return
    state = swarm.get("LocalNodeState", "inactive")
    raise ConfigurationError(
        "the engine is a worker of a Swarm, not a manager"
        if state == "active"
        else f"the engine is in no Swarm (its state is {state})",
        hint="DOCKER_HOST or a context must select a manager; docker swarm init makes "
        "the first",
    )


def require_nodes(stack: StackContext, content: Mapping[str, Any]) -> tuple[Node, ...]:
    """
    Return the nodes when they suffice for the stack file; ConfigurationError otherwise.

    What is worth knowing and hinders nothing is said.
    """
    nodes = stack.engine.nodes()
    data = {
        name: mounts.data_volumes(stack.model, name) for name in content["services"]
    }
    found = list(placement.problems(content, nodes, data))
    if found:
        raise ConfigurationError(
            "the nodes do not suffice",
            detail="\n".join(found),
            hint="invoke nodes shows labels; docker node update --label-add KEY=true "
            "NODE sets one",
        )
    _warn(stack, nodes)
    return nodes


def require_not_here(stack: StackContext) -> None:
    """Refuse a project that plain Compose runs on this engine under the same name."""
    if stack.containers:
        raise ConfigurationError(
            f"{stack.project} runs on this engine alone",
            hint="invoke backup --all keeps its data; then invoke down",
        )


def _warn(stack: StackContext, nodes: Sequence[Node]) -> None:
    managers = sum(node.role == "manager" for node in nodes)
    if managers < SAFE_MANAGERS or managers % 2 == 0:
        say(
            f"warning: {managers} manager{'s' * (managers > 1)}: without a majority "
            "nothing is placed, and tasks are replaced when it is back; three are safe"
        )
    options = stack.info.raw.get("SecurityOptions") or ()
    if NO_NEW_PRIVILEGES not in options:
        say('warning: this engine lacks "no-new-privileges": true in its daemon.json')
