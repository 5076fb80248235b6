"""What updates deployed: images that later tasks keep, and those to go back to."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compose_ops.docker.api import Engine
from compose_ops.errors import ComposeOpsError
from compose_ops.project.paths import DEPLOYED_FILE
from compose_ops.state import store
from compose_ops.state.store import StateFile

FILE, OVERRIDE = "deployed.json", DEPLOYED_FILE
KEPT = 5


@dataclass(frozen=True, slots=True)
class RetainedImage:
    """An image that served well: its tag here, its id, and what it was called."""

    tag: str
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """
    What was deployed of one service.

    `image` is the tag that replaces the compose file's image, "" for none; `name` what
    it was given as. `nameless` drops the fixed container name, which a container that
    was proven beside its predecessor cannot have been created with. `previous` are
    the images to go back to, the last one first to be taken.
    """

    image: str = ""
    name: str = ""
    nameless: bool = False
    previous: tuple[RetainedImage, ...] = ()


@dataclass(frozen=True, slots=True)
class Deployed:
    services: Mapping[str, Deployment] = field(default_factory=dict)

    def of(self, service: str) -> Deployment:
        return self.services.get(service, Deployment())

    def with_(self, service: str, deployment: Deployment) -> "Deployed":
        return Deployed({**self.services, service: deployment})

    def notes(self, only: str = "") -> list[str]:
        """Return a line for each image that stays deployed; *only* one service's."""
        return [
            f"{service} stays on {d.name}, deployed by an update; "
            f"invoke rolling-update --service {service} --build returns to the files"
            for service, d in self.services.items()
            if d.image and only in {"", service}
        ]


def _upgrade(_schema: int, data: Any) -> Any:
    """Return the fields of what the version before wrote: {service: deployment}."""
    return {"services": data}


STATE_FILE = StateFile(
    FILE,
    Deployed,
    without="tasks keep what is deployed, but no rollback is possible",
    upgrade=_upgrade,
)


def read(state: Path) -> Deployed:
    """Return what is deployed, nothing where no update was; DataError."""
    return STATE_FILE.load(state) or Deployed()


def write(state: Path, deployed: Deployed) -> None:
    """Write what is deployed, then the compose file that makes later tasks keep it."""
    STATE_FILE.save(state, deployed)
    text = override(deployed)
    if text:
        store.write(state / OVERRIDE, text)
    else:
        store.remove(state / OVERRIDE)


def forget_names(state: Path) -> None:
    """Let containers have their fixed names again, once none of the old is left."""
    now = read(state)
    if any(found.nameless for found in now.services.values()):
        named = {n: replace(d, nameless=False) for n, d in now.services.items()}
        write(state, Deployed(named))


def override(deployed: Deployed) -> str:
    """Return the compose file for what is deployed, "" when it would say nothing."""
    lines = []
    for service, found in deployed.services.items():
        wishes = (
            [f"    image: {found.image}", "    build: !reset null"]
            if found.image
            else []
        )
        wishes += ["    container_name: !reset null"] if found.nameless else []
        lines += [f"  {service}:", *wishes] if wishes else []
    return "\n".join(["services:", *lines, ""]) if lines else ""


def remembered(state: Path) -> str | None:
    """Return that compose file, None where nobody knows what is deployed."""
    try:
        known = STATE_FILE.load(state)
    except ComposeOpsError:
        return None
    return None if known is None else override(known)


def retained(project: str, service: str, image_id: str, name: str) -> RetainedImage:
    """Return an image with the tag that retains it."""
    short = image_id.removeprefix("sha256:")[:12]
    return RetainedImage(f"localhost/{project}-{service}:kept-{short}", image_id, name)


def retain(
    engine: Engine, project: str, service: str, image_id: str, name: str
) -> RetainedImage:
    """Tag an image so that no ordinary prune takes it."""
    found = retained(project, service, image_id, name)
    engine.tag(found.id, found.tag)
    return found


def after_update(
    deployment: Deployment, old: RetainedImage | None, *, image: str, name: str
) -> tuple[Deployment, tuple[RetainedImage, ...]]:
    """Return the deployment after an update, and the images that it gives up."""
    previous = [k for k in deployment.previous if old is None or k.id != old.id]
    previous += [old] if old else []
    changed = replace(
        deployment, image=image, name=name, previous=tuple(previous[-KEPT:])
    )
    return changed, tuple(previous[:-KEPT])
