"""Facts of the project on the engine: images, the users that containers run as."""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from compose_ops.docker.api import Container, EngineInfo, Image, RunSpec
from compose_ops.doctor.facts.access import User
from compose_ops.doctor.registry import NotMeasuredError, fact
from compose_ops.errors import EngineError
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.engine_location import EngineLocation
from compose_ops.units import whole

REGISTRY_SECONDS = 1.0
BUILT_HERE = "localhost/"
ASK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class HelperImage:
    """
    An image that reads and writes volumes; `base` is one of its bases, if here.

    It is the first that is missing, or stands for all of them.
    """

    name: str
    is_here: bool
    base: str = ""


@fact(limit=10)
def helper_image(stack: StackContext, info: EngineInfo) -> HelperImage:
    """Look for the images that a backup needs, and for what they are built on."""
    del info
    needed = stack.collaborators.backups.helper_images(stack)
    found = stack.engine.images([n for name, bases in needed for n in (name, *bases)])
    for name, bases in needed:
        if name not in found:
            base = next((base for base in bases if base in found), "")
            return HelperImage(name, is_here=False, base=base)
    return HelperImage(", ".join(name for name, _ in needed), is_here=True)


@fact(limit=15)
def images(
    stack: StackContext, info: EngineInfo, model: Model, wanted: tuple[str, ...]
) -> Mapping[str, Image]:
    """Return the wanted services' local images, by the name that the model gives."""
    del info
    names = sorted({model.image_name(service) for service in wanted})
    return stack.engine.images(names)


@fact(limit=ASK_SECONDS + 2)
def users(
    *,
    stack: StackContext,
    model: Model,
    wanted: tuple[str, ...],
    images: Mapping[str, Image],
    ours: tuple[Container, ...],
    local: EngineLocation,
) -> Mapping[str, User]:
    """Return the users of services that read files of this machine."""
    if local.is_rootless or local.remaps_users:
        raise NotMeasuredError(
            "the engine remaps users: the owners of files cannot be compared"
        )
    found = {}
    for name in wanted:
        service = model.service(name)
        if service.get("secrets") or _binds(service):
            running = [c for c in ours if c.service == name and c.is_running]
            image = images.get(model.image_name(name))
            ids = _running_ids(running) or _stated_ids(stack, service, image)
            uid, groups = ids
            found[name] = User(uid, groups, overrides=_overrides(service, uid))
    return found


def _binds(service: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [v for v in service.get("volumes") or () if v.get("type") == "bind"]


def _overrides(service: Mapping[str, Any], uid: int | None) -> bool:
    """Say whether root's power over file modes is left to the service's process."""
    dropped = {str(c).upper() for c in service.get("cap_drop") or ()}
    added = {str(c).upper() for c in service.get("cap_add") or ()}
    keeps = not dropped & {"ALL", "DAC_OVERRIDE"}
    return uid == 0 and (keeps or bool(added & {"ALL", "DAC_OVERRIDE"}))


Ids = tuple[int | None, frozenset[int] | None]
"""A uid and its groups, None for what is not known."""


def _running_ids(containers: Iterable[Container]) -> Ids | None:
    for container in containers:
        pid = (container.raw.get("State") or {}).get("Pid")
        with suppress(OSError):
            return status_ids(Path(f"/proc/{pid}/status").read_text())
    return None


def status_ids(text: str) -> Ids:
    """Read the effective ids of a process from its /proc/PID/status."""
    words = {k: v.split() for k, _, v in (n.partition(":") for n in text.splitlines())}
    groups = {words["Gid"][1], *words.get("Groups", ())}
    return int(words["Uid"][1]), frozenset(map(int, groups))


def _stated_ids(
    stack: StackContext, service: Mapping[str, Any], image: Image | None
) -> Ids:
    if image is None and not service.get("user"):
        return None, None
    config = (image.raw.get("Config") or {}) if image is not None else {}
    stated = str(service.get("user") or config.get("User") or "0")
    user, _, group = stated.partition(":")
    uid, gid = whole(user), whole(group)
    if uid is not None:
        return uid, None if gid is None else frozenset({gid})
    return _ask_image(stack, image, user) if image is not None else (None, None)


def _ask_image(stack: StackContext, image: Image, user: str) -> Ids:
    spec = RunSpec(image=image.id, command=[user], entrypoint="id")
    try:
        output = stack.engine.run(spec, timeout=ASK_SECONDS)
    except EngineError:
        return None, None
    return parse_ids(output.stdout) if output.code == 0 else (None, None)


def parse_ids(text: str) -> Ids:
    """Read what `id` prints: uid=101(memgraph) gid=103(memgraph) groups=103(...)."""
    found = re.match(r"uid=(\d+)\S* gid=(\d+)\S*(?: groups=(\S+))?", text.strip())
    if found is None:
        return None, None
    groups = {found[2], *re.findall(r"(?:^|,)(\d+)", found[3] or "")}
    return int(found[1]), frozenset(map(int, groups))


@dataclass(frozen=True, slots=True)
class AbsentImage:
    """
    A ready-made image that is not here, and whether its registry has it.

    None: the registry gave no answer in time.
    """

    service: str
    name: str
    is_obtainable: bool | None


@fact(limit=REGISTRY_SECONDS + 1)
def absent_images(
    stack: StackContext,
    model: Model,
    wanted: tuple[str, ...],
    images: Mapping[str, Image],
) -> tuple[AbsentImage, ...]:
    """
    Return the images that are not here and that nothing here builds.

    The offline images count as here: `up` builds those that lack.
    """
    absent = {
        name: model.image_name(name)
        for name in wanted
        if not model.service(name).get("build")
        and model.image_name(name) not in images
        and not model.image_name(name).startswith(BUILT_HERE)
    }
    with ThreadPoolExecutor(max(1, len(absent))) as pool:
        answers = pool.map(partial(_ask_registry, stack), absent.values())
        return tuple(
            AbsentImage(service, name, there)
            for (service, name), there in zip(absent.items(), answers, strict=True)
        )


def _ask_registry(stack: StackContext, image: str) -> bool | None:
    return stack.engine.registry_answers(image, timeout=REGISTRY_SECONDS)
