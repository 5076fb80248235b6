"""The machines of a Swarm, as its managers tell."""

from compose_ops.docker.api import Node
from compose_ops.errors import ConfigurationError
from compose_ops.runtime.context import StackContext


def nodes(stack: StackContext) -> tuple[Node, ...]:
    """Return the nodes, managers first; ConfigurationError without a manager."""
    require_manager(stack)
    found = stack.engine.nodes()
    return tuple(sorted(found, key=lambda node: (node.role, node.hostname)))


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
