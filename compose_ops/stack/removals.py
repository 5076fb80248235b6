"""What `down` removes: computed once, announced, and removed exactly so."""

from collections.abc import Iterator
from dataclasses import dataclass

from compose_ops.docker.api import PROJECT_LABEL, Container
from compose_ops.errors import ConfigurationError
from compose_ops.runtime.context import StackContext


@dataclass(frozen=True, slots=True)
class Removal:
    """Containers by name, and the volumes whose data is lost with them."""

    containers: tuple[str, ...]
    volumes: tuple[str, ...]

    def steps(self) -> list[str]:
        """Return the plan in words, one line a step."""
        return [
            *(f"remove container {name}" for name in self.containers),
            *(f"remove volume {name} and all that is in it" for name in self.volumes),
        ]


def plan(stack: StackContext, *, volumes: bool) -> Removal:
    """
    Return what goes: the project's containers and, with *volumes*, all of their data.

    These are the volumes that carry the project's label, those that the compose files
    declare and that are there (also one that was made by hand), and the anonymous ones
    of the containers. External volumes stay. Raises ConfigurationError for a volume
    that a container of somebody else mounts.
    """
    own = (*stack.containers, *stack.one_offs)
    doomed = tuple(dict.fromkeys(_volumes(stack, own))) if volumes else ()
    others = [c for c in stack.everyone if c.project != stack.project]
    for other in others:
        for mount in other.mounts:
            if mount.kind == "volume" and mount.name in doomed:
                raise ConfigurationError(
                    f"the volume {mount.name} is also mounted by {other.name}, which "
                    f"is not of {stack.project}",
                    hint=f"docker rm -f {other.name} first, or leave out --volumes",
                )
    return Removal(tuple(c.name for c in own), doomed)


def remove_hidden(stack: StackContext, removal: Removal) -> None:
    """
    Stop and remove the announced containers of services that the model lacks.

    `compose down` keeps those of inactive profiles, and some of `docker compose run`.
    """
    hidden = [
        c
        for c in stack.engine.containers(
            filters=[f"label={PROJECT_LABEL}={stack.project}"]
        )
        if c.project == stack.project
        and c.name in removal.containers
        and c.service not in stack.model.services
    ]
    if not hidden:
        return
    stack.engine.stop(*(c.id for c in hidden))
    # What was run with --rm removes itself, and a removal at the same time fails.
    if left := [c.id for c in hidden if not _removes_itself(c)]:
        stack.engine.remove(*left, force=True)


def _removes_itself(container: Container) -> bool:
    return bool((container.raw.get("HostConfig") or {}).get("AutoRemove"))


def _volumes(stack: StackContext, own: tuple[Container, ...]) -> Iterator[str]:
    kept = {
        stack.model.volume_name(key)
        for key, volume in stack.model.volumes.items()
        if (volume or {}).get("external")
    }
    labelled = {v.name for v in stack.engine.volumes(project=stack.project)}
    yield from sorted(labelled - kept)
    for key in stack.model.volumes:
        name = stack.model.volume_name(key)
        if name not in kept and stack.engine.volume(name) is not None:
            yield name
    named = {stack.model.volume_name(key) for key in stack.model.volumes}
    for container in own:
        for mount in container.mounts:
            if mount.is_anonymous and mount.name not in named:
                yield mount.name
