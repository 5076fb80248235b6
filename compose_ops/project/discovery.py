"""Where a project's compose files are, as Compose itself looks for them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compose_ops.errors import ConfigurationError
from compose_ops.project import env_file
from compose_ops.project.paths import CONFIG_FILE, ENV_FILE

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
"""Both in the order in which Compose takes the first that is there."""

TRUE = frozenset({"1", "t", "true", "y", "yes"})


@dataclass(frozen=True, slots=True)
class Found:
    """
    Where a project is: its folder, and its compose files in the order of `-f`.

    `origin` says who named the files: "flags", "COMPOSE_FILE", "compose-ops.toml" or
    "discovery". `values` are the variables of the env files, and over them the shell's.
    """

    directory: Path
    files: tuple[Path, ...]
    env_files: tuple[Path, ...]
    values: Mapping[str, str]
    origin: str


def config_folder(start: Path) -> Path | None:
    """Return the nearest folder, upwards from *start*, with a `compose-ops.toml`."""
    return next((f for f in _upwards(start) if (f / CONFIG_FILE).is_file()), None)


def default_files(start: Path) -> tuple[Path, ...]:
    """Return the files that Compose takes when none is named, upwards from *start*."""
    for folder in _upwards(start):
        named = [folder / name for name in NAMES if (folder / name).is_file()]
        if named:
            more = [folder / name for name in OVERRIDES if (folder / name).is_file()]
            return (*named[:1], *more[:1])
    return ()


def find(
    start: Path,
    *,
    files: Sequence[Path] = (),
    stated: Sequence[Path] = (),
    directory: Path | None = None,
    is_moded: bool = False,
    lenient: bool = False,
) -> Found:
    """
    Return the project that a task in *start* means.

    *files* are those of a flag, *stated* those of `compose-ops.toml` with its project
    *directory*. `COMPOSE_FILE` comes between them; a mode that was asked for is of the
    stated files (*is_moded*). With *lenient* an env file that cannot be read is left to
    Compose. Raises ConfigurationError where there is no project.
    """
    shell = dict(os.environ)
    nearest = default_files(start)
    place = directory or _folder_of(files or stated or nearest, start)
    variables, readable = _env_files(start, place, shell)
    values = _read(readable, lenient=lenient) | shell
    if files:
        chosen, origin = tuple(files), "flags"
    elif (named := values.get("COMPOSE_FILE")) and not is_moded:
        base = start if "COMPOSE_FILE" in shell else place
        separator = values.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        chosen = tuple((base / one).resolve() for one in named.split(separator) if one)
        place, origin = _folder_of(chosen, start), "COMPOSE_FILE"
    elif stated:
        chosen, origin = tuple(stated), CONFIG_FILE
    elif nearest:
        chosen, origin = nearest, "discovery"
    else:
        raise ConfigurationError(
            f"no compose file in {start} or in a folder above it",
            hint="change to the project's folder; name its files in COMPOSE_FILE or "
            f"in {CONFIG_FILE}",
        )
    for file in chosen:
        if not file.is_file():
            raise ConfigurationError(
                f"there is no compose file {file}", hint=f"it is named by {origin}"
            )
    return Found(place, chosen, variables, values, origin)


def _env_files(
    start: Path, place: Path, shell: Mapping[str, str]
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the env files to name to Compose, and those that are read here."""
    if shell.get("COMPOSE_DISABLE_ENV_FILE", "").lower() in TRUE:
        return (), ()
    if named := shell.get("COMPOSE_ENV_FILES"):
        files = tuple((start / one).resolve() for one in named.split(",") if one)
        return files, tuple(file for file in files if file.is_file())
    found = (place / ENV_FILE,) if (place / ENV_FILE).exists() else ()
    return found, found


def _read(files: Sequence[Path], *, lenient: bool) -> dict[str, str]:
    values: dict[str, str] = {}
    for file in files:
        try:
            values |= env_file.read(file)
        except ConfigurationError:
            if not lenient:
                raise
    return values


def _folder_of(files: Sequence[Path], start: Path) -> Path:
    """Return Compose's project directory: the folder of the first file."""
    return files[0].parent if files else start


def _upwards(start: Path) -> tuple[Path, ...]:
    return (start, *start.parents)
