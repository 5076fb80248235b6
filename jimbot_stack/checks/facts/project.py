"""Facts of the project on the engine: images, the users that containers run as."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jimbot_stack.checks.facts.engine import Place
from jimbot_stack.checks.registry import NotMeasuredError, fact
from jimbot_stack.engine import Container, EngineInfo, Image, RunSpec
from jimbot_stack.errors import EngineError
from jimbot_stack.model import Model
from jimbot_stack.stack import Stack

REGISTRY_SECONDS = 1.0
BUILT_HERE = "localhost/"
ASK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class User:
    """The uid that a service's process has, None where nobody can tell."""

    uid: int | None
    overrides: bool = False

    def may_read(self, mode: int, owner: int) -> bool | None:
        """Say whether a file of that mode and owner can be read; None: not known."""
        if mode & 0o004 or self.overrides:
            return True
        if self.uid is None:
            return None
        return self.uid == owner and bool(mode & 0o400)


def image_name(stack: Stack, model: Model, service: str) -> str:
    """Return the image that a service runs; Compose names what it builds itself."""
    return str(model.service(service).get("image") or f"{stack.project}-{service}")


@fact(limit=10)
def images(
    stack: Stack, info: EngineInfo, model: Model, wanted: tuple[str, ...]
) -> Mapping[str, Image]:
    """Return the wanted services' local images, by the name that the model gives."""
    del info
    names = sorted({image_name(stack, model, service) for service in wanted})
    return stack.engine.images(names)


@fact(limit=ASK_SECONDS + 2)
def users(
    *,
    stack: Stack,
    model: Model,
    wanted: tuple[str, ...],
    images: Mapping[str, Image],
    ours: tuple[Container, ...],
    local: Place,
) -> Mapping[str, User]:
    """Return the users of services that read files of this machine."""
    if local.is_rootless or local.remaps_users:
        raise NotMeasuredError("the engine shifts users: owners of files tell nothing")
    found = {}
    for name in wanted:
        service = model.service(name)
        if service.get("secrets") or _binds(service):
            running = [c for c in ours if c.service == name and c.is_running]
            image = images.get(image_name(stack, model, name))
            uid = _running_uid(running)
            uid = _stated_uid(stack, service, image) if uid is None else uid
            found[name] = User(uid, overrides=_overrides(service, uid))
    return found


def _binds(service: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [v for v in service.get("volumes") or () if v.get("type") == "bind"]


def _overrides(service: Mapping[str, Any], uid: int | None) -> bool:
    """Say whether root's power over file modes is left to the service's process."""
    dropped = {str(c).upper() for c in service.get("cap_drop") or ()}
    added = {str(c).upper() for c in service.get("cap_add") or ()}
    keeps = not dropped & {"ALL", "DAC_OVERRIDE"}
    return uid == 0 and (keeps or bool(added & {"ALL", "DAC_OVERRIDE"}))


def _running_uid(containers: Iterable[Container]) -> int | None:
    for container in containers:
        pid = (container.raw.get("State") or {}).get("Pid")
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        return next(int(line.split()[2]) for line in lines if line.startswith("Uid:"))
    return None


def _stated_uid(
    stack: Stack, service: Mapping[str, Any], image: Image | None
) -> int | None:
    if image is None and not service.get("user"):
        return None
    config = (image.raw.get("Config") or {}) if image is not None else {}
    user = str(service.get("user") or config.get("User") or "0").partition(":")[0]
    if user.isdigit():
        return int(user)
    return _ask_image(stack, image, user) if image is not None else None


def _ask_image(stack: Stack, image: Image, user: str) -> int | None:
    spec = RunSpec(image=image.id, command=["-u", user], entrypoint="id")
    try:
        output = stack.engine.run(spec, timeout=ASK_SECONDS)
    except EngineError:
        return None
    text = output.stdout.strip()
    return int(text) if output.code == 0 and text.isdigit() else None


@fact(limit=REGISTRY_SECONDS + 1)
def unreachable(
    stack: Stack, model: Model, wanted: tuple[str, ...], images: Mapping[str, Image]
) -> Mapping[str, str]:
    """
    Return images that are not here and that no registry answers for, by service.

    The offline images count as here: `up` builds those that lack.
    """
    absent = [
        name
        for name in wanted
        if not model.service(name).get("build")
        and image_name(stack, model, name) not in images
        and not image_name(stack, model, name).startswith(BUILT_HERE)
    ]
    names = {name: image_name(stack, model, name) for name in absent}
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        answers = pool.map(partial(_answers, stack), names.values())
        return {
            n: names[n] for n, there in zip(names, answers, strict=True) if not there
        }


def _answers(stack: Stack, image: str) -> bool:
    return stack.engine.registry_answers(image, timeout=REGISTRY_SECONDS)
