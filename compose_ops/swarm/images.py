"""Which images of a project the nodes cannot have, and their names in a registry."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

from compose_ops.errors import ConfigurationError
from compose_ops.project.interpolation import variables
from compose_ops.runtime.context import StackContext

LOCAL_HOST = "localhost"
SET_IT = "set registry in [swarm] of compose-ops.toml, such as registry.lan:5000/shop"


@dataclass(frozen=True, slots=True)
class Pushed:
    """An image of this engine (`local`) and the name under which it is pushed."""

    local: str
    remote: str


def pushed(stack: StackContext) -> dict[str, Pushed]:
    """
    Return the images to push, by service: what is built here or is in no registry.

    Raises ConfigurationError where there are some and no registry is named.
    """
    names = {
        name: stack.model.image_name(name)
        for name, service in stack.model.services.items()
        if service.get("build") or is_local(stack.model.image_name(name))
    }
    if not names:
        return {}
    registry = registry_of(stack)
    return {
        name: Pushed(image, remote(registry, image)) for name, image in names.items()
    }


def is_local(image: str) -> bool:
    """
    Say whether an image is in no registry, by its name.

    >>> is_local("localhost/shop-web:2"), is_local("localhost:5000/shop-web:2")
    (True, False)
    """
    return image.partition("/")[0] == LOCAL_HOST


def remote(registry: str, image: str) -> str:
    """
    Return an image's name in a registry.

    >>> remote("registry.lan:5000/shop", "localhost/shop-web:2")
    'registry.lan:5000/shop/shop-web:2'
    """
    name = image.partition("@")[0]
    first, _, rest = name.partition("/")
    if rest and (first == LOCAL_HOST or "." in first or ":" in first):
        name = rest
    tagged = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    return f"{registry}/{tagged}"


def registry_of(stack: StackContext) -> str:
    """Return `[swarm] registry`, its variables filled; ConfigurationError without."""
    stated = stack.config.swarm.registry
    if not stated:
        raise ConfigurationError(
            "the nodes cannot get images that are built here: no registry is named",
            hint=SET_IT,
        )
    names = dict.fromkeys(name for name, _ in variables(stated))
    return _filled(stated, stack.values(names))


def _filled(stated: str, values: Mapping[str, str]) -> str:
    try:
        found = Template(stated).substitute(values).strip("/")
    except (KeyError, ValueError) as unknown:
        raise ConfigurationError(
            f"[swarm] registry names a variable without a value: {unknown}",
            hint="set it in .env, such as REGISTRY=registry.lan:5000/shop",
        ) from unknown
    if not found:
        raise ConfigurationError("[swarm] registry is empty", hint=SET_IT)
    return found
