"""Make what a checkout needs: `.env`, secrets, readable mounts; never touch a value."""

import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from compose_ops.config import Config, SecretTable
from compose_ops.console import say
from compose_ops.docker.api import Engine
from compose_ops.errors import ConfigurationError
from compose_ops.project import env_file
from compose_ops.project.paths import ENV_FILE
from compose_ops.runtime.setup_step import SetupStep
from compose_ops.units import whole

REGISTRY_SECONDS = 5.0
SHARED_FILE = 0o644
PRIVATE_FOLDER = 0o700
TOKEN_BYTES = 32


def run(
    engine: Engine | None,
    root: Path,
    config: Config,
    *,
    dry: bool = False,
    more: Iterable[SetupStep] = (),
) -> tuple[str, ...]:
    """
    Do what is still to do, then *more*, and return it; a second run has nothing to do.

    *root* is the folder of `.env`. *engine* tells how many CPUs there are and whether a
    registry answers; without one this machine's CPUs count, and a registry is taken for
    granted.
    """
    values = partial(_host_values, engine, config)
    steps = [*plan(root, config, values=values), *more]
    for step in steps:
        say(f"{'would ' if dry else ''}{step.what}")
        if not dry:
            step.act()
    if not steps:
        say("nothing to do: .env, secrets and folders are complete")
    return tuple(step.what for step in steps)


def plan(
    root: Path, config: Config, *, values: Callable[[], Mapping[str, str]]
) -> list[SetupStep]:
    """Return the steps that are still to do, none on a checkout that is complete."""
    return [
        *_env_steps(root, config, values),
        *_secret_steps(config),
        *_permission_steps(config),
    ]


def _host_values(engine: Engine | None, config: Config) -> dict[str, str]:
    """Return the variables that depend on this machine."""
    example, wanted = env_file.read(config.example), config.init
    cpus = engine.info().cpus if engine else host_cpus()
    values = {
        name: str(min(number, cpus))
        for name in wanted.at_most_cpus
        if (number := whole(example.get(name, ""))) is not None
    }
    image = example.get(wanted.registry_variable, "")
    if not (engine and image and wanted.registry_mode):
        return values
    if engine.registry_answers(image, timeout=REGISTRY_SECONDS):
        return values
    return {**values, **config.modes[wanted.registry_mode].environment}


def _with(text: str, values: Mapping[str, str]) -> str:
    """Return the env file's *text* with other values for those of its variables."""
    lines = (
        f"{name}={values[name]}" if (name := line.split("=")[0]) in values else line
        for line in text.splitlines()
    )
    return "\n".join(lines) + "\n"


def _env_steps(
    root: Path, config: Config, values: Callable[[], Mapping[str, str]]
) -> Iterator[SetupStep]:
    file, example = root / ENV_FILE, config.example
    if not example.exists():
        return
    if not file.exists():
        yield SetupStep(
            f"write {ENV_FILE} from {config.env_example}",
            lambda: env_file.write_private(file, _with(example.read_text(), values())),
        )
        return
    have = env_file.read(file)
    lines = [f"{k}={v}" for k, v in env_file.read(example).items() if k not in have]
    if lines:
        names = ", ".join(line.split("=")[0] for line in lines)
        yield SetupStep(
            f"add {names} to {ENV_FILE}",
            lambda: env_file.add_lines(
                file, [f"# Added from {config.env_example} by init", *lines]
            ),
        )


def _secret_steps(config: Config) -> Iterator[SetupStep]:
    for name, table in config.init.secrets.items():
        path = config.path(name)
        if not path.exists():
            yield SetupStep(f"make {name}", partial(_write, path, table))
    for name in dict.fromkeys([*config.init.secrets, *config.init.tokens]):
        path = config.path(name)
        if path.is_file() and _is_closed(path):
            yield SetupStep(
                f"make {name} readable to the containers' users",
                partial(path.chmod, SHARED_FILE),
            )
    folders = dict.fromkeys(config.path(n).parent for n in config.init.secrets)
    for folder in folders:
        if folder.is_dir() and folder.stat().st_mode & 0o077:
            shown = folder.relative_to(config.folder)
            yield SetupStep(
                f"close {shown}/ to other users", partial(folder.chmod, PRIVATE_FOLDER)
            )


def _is_closed(path: Path) -> bool:
    """Say whether only this user reads a file; another owner is a person's choice."""
    found = path.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & 0o044


def token_steps(config: Config) -> Iterator[SetupStep]:
    """
    Yield what adds a token to a JSON file whose object has no such key yet.

    Raises ConfigurationError for a file that holds no JSON object.
    """
    for name, place in config.init.tokens.items():
        path, keys = config.path(name), place.split(".")
        if not (path.exists() and _object(path).get(keys[0])):
            yield SetupStep(
                f"add a token, {place}, to {name}", partial(_add_token, path, keys)
            )


def _add_token(path: Path, keys: Sequence[str]) -> None:
    token: Any = secrets.token_urlsafe(TOKEN_BYTES)
    for key in reversed(keys):
        token = {key: token}
    found = _object(path) if path.exists() else {}
    _write(path, SecretTable(text=json.dumps(found | token) + "\n"))


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigurationError(f"{path.name} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path.name} is no JSON object")
    return found


def _write(path: Path, secret: SecretTable) -> None:
    """
    Write a secret so that any container's user can read it through its own mount.

    Compose mounts the file as it is, owner and mode included; the folder, which only
    its owner may enter, is what keeps other users of the host out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(PRIVATE_FOLDER)
    random = secrets.token_urlsafe(secret.random_bytes) if secret.random_bytes else ""
    env_file.write_private(path, random or secret.text, mode=SHARED_FILE)


def _permission_steps(config: Config) -> Iterator[SetupStep]:
    """Open what containers mount or copy: they run as other users than the owner."""
    closed = [path for path in _mounted(config) if not _is_open(path)]
    if closed:
        yield SetupStep(
            f"make {len(closed)} mounted files readable to the containers' users",
            lambda: _open(closed),
        )


def _mounted(config: Config) -> Iterator[Path]:
    for folder in map(config.path, config.init.readable):
        if folder.is_dir():
            yield folder
            yield from (p for p in folder.rglob("*") if not p.is_symlink())


def _wanted_bits(path: Path) -> int:
    mode = path.stat().st_mode
    return 0o055 if path.is_dir() or mode & 0o100 else 0o044


def _is_open(path: Path) -> bool:
    bits = _wanted_bits(path)
    return path.stat().st_mode & bits == bits


def _open(paths: Sequence[Path]) -> None:
    for path in paths:
        path.chmod(path.stat().st_mode | _wanted_bits(path))


def host_cpus() -> int:
    """Return how many CPUs this process may use, for a host without an engine yet."""
    return len(os.sched_getaffinity(0))
