"""
Which images are not what the model would build now.

Every mode builds an image of one name with other arguments, targets or bases, and
Compose builds only what is missing. So what each image was built from is remembered,
by image id; an image that was built by hand counts as unknown and is built again.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from compose_ops.runtime.context import StackContext
from compose_ops.state.store import StateFile

FILE = "builds.json"
MAX_IMAGES = 100


@dataclass(frozen=True, slots=True)
class Builds:
    """Digests of the definitions that images were built from, by image id."""

    images: Mapping[str, str] = field(default_factory=dict)


def _upgrade(_schema: int, data: Any) -> Any:
    """Return the fields of what the version before wrote: {image id: digest}."""
    return {"images": data}


STATE_FILE = StateFile(
    FILE, Builds, without="images are built once more", upgrade=_upgrade, is_cache=True
)


def stale(stack: StackContext, services: Iterable[str]) -> list[str]:
    """Return those of the services whose image is missing or of another definition."""
    names = _image_names(stack, services)
    there = stack.engine.images(names.values())
    known = _known(stack)
    return [
        service
        for service, image in names.items()
        if image not in there or known.get(there[image].id) != _digest(stack, service)
    ]


def build(stack: StackContext, services: Iterable[str], *, cache: bool = True) -> None:
    """Build the images of the services, and remember what they are made of."""
    wanted = list(services)
    stack.engine.build(wanted, cache=cache)
    names = _image_names(stack, wanted)
    there = stack.engine.images(names.values())
    made = {there[image].id: _digest(stack, name) for name, image in names.items()}
    known = list({**_known(stack), **made}.items())[-MAX_IMAGES:]
    STATE_FILE.save(stack.state, Builds(dict(known)))


def _image_names(stack: StackContext, services: Iterable[str]) -> dict[str, str]:
    return {
        name: stack.model.image_name(name)
        for name in services
        if stack.model.service(name).get("build")
    }


def _digest(stack: StackContext, service: str) -> str:
    text = json.dumps(stack.model.service(service)["build"], sort_keys=True)
    return sha256(text.encode()).hexdigest()


def _known(stack: StackContext) -> Mapping[str, str]:
    return (STATE_FILE.load(stack.state) or Builds()).images
