"""Remove what a drill created, and nothing that it did not create."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose_ops.backup import helper
from compose_ops.backup.drill_project import LABEL
from compose_ops.console import say
from compose_ops.docker.api import FILES_LABEL, Container, Volume
from compose_ops.runtime.context import StackContext
from compose_ops.state.journal import Journal


@dataclass(frozen=True, slots=True)
class Created:
    """What a drill created: ids of containers, names of volumes and networks."""

    containers: tuple[str, ...]
    volumes: tuple[str, ...]
    networks: tuple[str, ...]


def undo(stack: StackContext, journal: Journal) -> None:
    """Remove everything that a drill created. Can be repeated."""
    helper.remove_strays(stack, journal.facts["run"])
    created = _created(stack, journal)
    if created.containers:
        stack.engine.remove(*created.containers, force=True, volumes=True)
    for volume in created.volumes:
        stack.engine.remove_volume(volume)
    for network in created.networks:
        stack.engine.remove_network(network)
    # The state folder, or the checkout, may have been moved since.
    (stack.state / Path(journal.facts["file"]).name).unlink(missing_ok=True)
    journal.close()


def _created(stack: StackContext, journal: Journal) -> Created:
    project = journal.facts.get("project")
    if project is None:
        return _created_by_the_version_before(stack, journal)
    run: str = journal.facts["run"]

    def is_own(labels: Mapping[str, str]) -> bool:
        return labels.get(LABEL) == run

    engine = stack.engine
    containers = engine.containers(filters=[f"label={LABEL}={run}"])
    return Created(
        tuple(c.id for c in containers),
        tuple(v.name for v in engine.volumes(project=project) if is_own(v.labels)),
        tuple(n.name for n in engine.networks(project=project) if is_own(n.labels)),
    )


def _created_by_the_version_before(stack: StackContext, journal: Journal) -> Created:
    """
    Find a drill that has no label: its containers name the journal's compose file.

    Its volumes and network are those of its containers that no other container uses;
    the journal keeps them, so that an interrupted removal is continued.
    """
    project = f"{stack.project}-drill"
    everything = stack.engine.containers()
    own = [c for c in everything if _is_from_file(c, project, journal.facts["file"])]
    others = [c for c in everything if c not in own]
    volumes = [v for v in stack.engine.volumes(project=project) if _is_used(v, own)]
    networks = {name for c in own for name in c.networks} - {
        name for c in others for name in c.networks
    }
    known: dict[str, Any] = journal.facts
    journal.reach(
        "removing the drill",
        volumes=sorted(
            {*known.get("volumes", ())}
            | {v.name for v in volumes if not _is_used(v, others)}
        ),
        networks=sorted({*known.get("networks", ())} | networks),
    )
    there = {volume.name for volume in stack.engine.volumes(project=project)}
    connected = {network.name for network in stack.engine.networks(project=project)}
    wanted = set(journal.facts["volumes"])
    for name in sorted(there - wanted):
        say(f"warning: not removed, it may belong to another project: volume {name}")
    return Created(
        tuple(c.id for c in own),
        tuple(sorted(there & wanted)),
        tuple(sorted(connected & set(journal.facts["networks"]))),
    )


def _is_from_file(container: Container, project: str, file: str) -> bool:
    files = container.labels.get(FILES_LABEL, "")
    return container.project == project and files == file


def _is_used(volume: Volume, containers: list[Container]) -> bool:
    return any(m.name == volume.name for c in containers for m in c.mounts)
