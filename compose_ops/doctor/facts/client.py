"""Facts of the docker client of this user: its builder and its credential helpers."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from compose_ops.docker.api import EngineInfo
from compose_ops.doctor.registry import NotMeasuredError, fact
from compose_ops.runtime.context import StackContext

BUILDER_SECONDS = 5.0
HELPER = "docker-credential-"


@dataclass(frozen=True, slots=True)
class Builder:
    """Buildx's selected builder; `problem` says why it cannot be used, or nothing."""

    name: str
    driver: str
    problem: str = ""
    from_variable: bool = False


@fact(limit=BUILDER_SECONDS + 1)
def builder(
    stack: StackContext, info: EngineInfo, plugins: Mapping[str, str]
) -> Builder:
    """Return the builder that `docker compose build` uses."""
    del info
    if not plugins.get("buildx"):
        raise NotMeasuredError("the Buildx plugin is missing")
    output = stack.engine.docker("buildx", "inspect", timeout=BUILDER_SECONDS)
    from_variable = bool(os.environ.get("BUILDX_BUILDER"))
    if output.code != 0:
        lines = output.stderr.strip().splitlines() or ["no output"]
        return Builder("", "", lines[-1], from_variable)
    return parse_builder(output.stdout, from_variable=from_variable)


def parse_builder(text: str, *, from_variable: bool = False) -> Builder:
    """Read what `docker buildx inspect` prints; its first lines are the builder's."""
    words: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            words.setdefault(name.strip(), value.strip())
    found = words.get("Name", ""), words.get("Driver", "")
    return Builder(*found, from_variable=from_variable)


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """
    The docker client's own configuration file.

    `helpers` are the credential helpers that it names: by registry, "" for all of them.
    `missing` are those that are not on PATH; `problem` says why it cannot be read.
    """

    path: Path
    helpers: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    problem: str = ""


@fact(limit=2)
def client_config() -> ClientConfig:
    return read_client_config(os.environ)


def read_client_config(environment: Mapping[str, str]) -> ClientConfig:
    """Read the file that the docker client reads; an absent one names no helper."""
    folder = environment.get("DOCKER_CONFIG") or ""
    if not folder:
        try:
            folder = str(Path.home() / ".docker")
        except RuntimeError as homeless:
            raise NotMeasuredError("this user has no home directory") from homeless
    path = Path(folder) / "config.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        stated = data.get("credHelpers") or {}
        helpers = {str(registry): str(name) for registry, name in stated.items()}
    except FileNotFoundError:
        return ClientConfig(path)
    except OSError as refused:
        return ClientConfig(path, problem=refused.strerror or str(refused))
    except (ValueError, AttributeError):
        return ClientConfig(path, problem="it is not valid JSON")
    if store := data.get("credsStore"):
        helpers[""] = str(store)
    search = environment.get("PATH")
    missing = {
        name
        for name in helpers.values()
        if shutil.which(f"{HELPER}{name}", path=search) is None
    }
    return ClientConfig(path, helpers, frozenset(missing))
