"""The arguments of `docker run`, `create` and `exec` for what the port describes."""

from collections.abc import Mapping
from pathlib import Path

from compose_ops.docker.api import RunSpec, mount

_READ_BY_DOCKER = ("PATH", "HOME", "DOCKER_", "COMPOSE_", "BUILDKIT_", "SSH_", "LD_")
"""Variables that would change what the docker client does, if it were given them."""


def named(environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """
    Return `--env` flags that only name variables, and the environment with the values.

    A value on the command line is open to every user of the machine.
    """
    hidden = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_READ_BY_DOCKER)
    }
    flags = [
        word
        for name, value in environment.items()
        for word in ("--env", name if name in hidden else f"{name}={value}")
    ]
    return flags, hidden


def bind(source: Path, target: str, *, writable: bool = False) -> str:
    """Return the value of a `--mount` of a path of the host."""
    more = [] if writable else ["readonly"]
    return mount("type=bind", f"src={source}", f"dst={target}", *more)


def run_arguments(spec: RunSpec, *, interactive: bool = False) -> list[str]:
    """Return the words after `docker` that run *spec*; its values stay out of them."""
    flags = ["--interactive"] if interactive else []
    return ["run", "--rm", "--log-driver", "none", *flags, *_arguments(spec)]


def create_arguments(spec: RunSpec) -> list[str]:
    """Return the words after `docker` that create *spec* without starting it."""
    return ["create", *_arguments(spec)]


def _arguments(spec: RunSpec) -> list[str]:
    pairs = [
        *([("--name", spec.name)] if spec.name else []),
        *([("--user", spec.user)] if spec.user else []),
        *([("--entrypoint", spec.entrypoint)] if spec.entrypoint is not None else []),
        *(("--mount", value) for value in spec.mounts),
        *(("--tmpfs", value) for value in spec.tmpfs),
        *(("--label", f"{key}={value}") for key, value in spec.labels.items()),
        *(("--cap-add", value) for value in spec.capabilities),
    ]
    return [
        *("--pull", "never", "--network", spec.network, "--read-only"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"),
        *(word for pair in pairs for word in pair),
        *named(spec.environment)[0],
        *spec.extra,
        spec.image,
        *spec.command,
    ]
