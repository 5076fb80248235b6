"""Make what a checkout needs: `.env`, secrets, readable mounts; never touch a value."""

import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from compose_ops.console import say
from compose_ops.docker.api import Engine
from compose_ops.errors import ConfigurationError
from compose_ops.project import env_file
from compose_ops.project.modes import STANDIN_IMAGES
from compose_ops.project.paths import ENV_EXAMPLE, ENV_FILE, ROOT, SECRETS
from compose_ops.runtime.setup_step import SetupStep

GUIDE_CPUS = 4
REGISTRY_SECONDS = 5.0
MOUNTED = ("jimbot", "config", "mage_modules", "scripts", "tests", "docker")
SHARED_FILE = 0o644
PRIVATE_FOLDER = 0o700
API_KEYS = "api_keys.json"
SECRET_FILES: dict[str, Callable[[], str]] = {
    "db_password.txt": lambda: secrets.token_urlsafe(32),
    API_KEYS: lambda: json.dumps({"anthropic": ""}) + "\n",
}


def run(
    engine: Engine | None,
    *,
    dry: bool = False,
    root: Path = ROOT,
    more: Iterable[SetupStep] = (),
) -> None:
    """
    Do what is still to do, then *more*; a second run changes nothing and says so.

    *engine* tells how many CPUs there are and whether a registry answers; without one
    this machine's CPUs count, and a registry is taken for granted.
    """
    steps = [*plan(root, values=partial(_host_values, engine, root)), *more]
    for step in steps:
        say(f"{'would ' if dry else ''}{step.what}")
        if not dry:
            step.act()
    if not steps:
        say("nothing to do: .env, secrets and folders are complete")


def plan(root: Path, *, values: Callable[[], Mapping[str, str]]) -> list[SetupStep]:
    """Return the steps that are still to do, none on a checkout that is complete."""
    return [
        *_env_steps(root, values),
        *_secret_steps(root),
        *_permission_steps(root),
    ]


def _host_values(engine: Engine | None, root: Path) -> dict[str, str]:
    """Return the variables that depend on this machine."""
    if engine is None:
        return {"RAY_CPUS": str(min(GUIDE_CPUS, host_cpus()))}
    values = {"RAY_CPUS": str(min(GUIDE_CPUS, engine.info().cpus))}
    image = env_file.read(root / ENV_EXAMPLE).get("LAB_IMAGE", "")
    if image and not engine.registry_answers(image, timeout=REGISTRY_SECONDS):
        values |= STANDIN_IMAGES
    return values


def _with(text: str, values: Mapping[str, str]) -> str:
    """Return the env file's *text* with other values for those of its variables."""
    lines = (
        f"{name}={values[name]}" if (name := line.split("=")[0]) in values else line
        for line in text.splitlines()
    )
    return "\n".join(lines) + "\n"


def _env_steps(
    root: Path, values: Callable[[], Mapping[str, str]]
) -> Iterator[SetupStep]:
    file, example = root / ENV_FILE, root / ENV_EXAMPLE
    if not file.exists():
        yield SetupStep(
            f"write {ENV_FILE} from {ENV_EXAMPLE}",
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
                file, [f"# Added from {ENV_EXAMPLE} by invoke init", *lines]
            ),
        )


def _secret_steps(root: Path) -> Iterator[SetupStep]:
    folder = root / SECRETS
    for name, make in SECRET_FILES.items():
        path = folder / name
        if not path.exists():
            yield SetupStep(f"make {SECRETS}/{name}", partial(_write, path, make))
    if folder.stat().st_mode & 0o077:
        yield SetupStep(
            f"close {SECRETS}/ to other users", lambda: folder.chmod(PRIVATE_FOLDER)
        )


def token_steps(root: Path) -> Iterator[SetupStep]:
    """
    Yield what makes a bearer token for the application's clients, if there is none.

    Raises ConfigurationError for a file of keys that is no JSON object.
    """
    path = root / SECRETS / API_KEYS
    if not (path.exists() and _keys(path).get("mcp")):
        yield SetupStep(
            f"add a token for the application's clients to {SECRETS}/{API_KEYS}",
            lambda: _write(path, partial(_with_token, path)),
        )


def _with_token(path: Path) -> str:
    keys = _keys(path) if path.exists() else {}
    return json.dumps(keys | {"mcp": {"claude": secrets.token_urlsafe(32)}}) + "\n"


def _keys(path: Path) -> dict[str, Any]:
    try:
        keys = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigurationError(f"{path.name} is no JSON: {error}") from error
    if not isinstance(keys, dict):
        raise ConfigurationError(f"{path.name} is no JSON object")
    return keys


def _write(path: Path, make: Callable[[], str]) -> None:
    """
    Write a secret so that any container's user can read it through its own mount.

    Compose mounts the file as it is, owner and mode included; the folder, which only
    its owner may enter, is what keeps other users of the host out.
    """
    path.parent.chmod(PRIVATE_FOLDER)
    env_file.write_private(path, make())
    path.chmod(SHARED_FILE)


def _permission_steps(root: Path) -> Iterator[SetupStep]:
    """Open what containers mount or copy: they run as other users than the owner."""
    closed = [path for path in _mounted(root) if not _is_open(path)]
    if closed:
        yield SetupStep(
            f"make {len(closed)} mounted files readable to the containers' users",
            lambda: _open(closed),
        )


def _mounted(root: Path) -> Iterator[Path]:
    for name in MOUNTED:
        folder = root / name
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
