"""
The models that Compose itself prints, flattened so that two can be compared.

Both sides, the project's files and the guide's table, go through
`docker compose config --format json`: durations, sizes, paths and short forms are then
written alike. Needs the Compose plugin, no engine.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from guide_blocks import Setting, load_yaml, written
from repository import ENV_EXAMPLE, OVERLAYS, ROOT, STAGES, own_files

LISTS = {
    "ports",
    "volumes",
    "tmpfs",
    "secrets",
    "configs",
    "networks",
    "extra_hosts",
    "cap_add",
    "cap_drop",
    "security_opt",
    "group_add",
    "devices",
    "config",
}
OPAQUE = {"driver_opts", "labels", "sysctls"}
BRACKETED = re.compile(r"^(.*?)\[(.*)\](.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Combination:
    """Compose files in order, and the env file that goes with them."""

    files: tuple[str, ...]
    env_file: str = os.devnull

    @property
    def name(self) -> str:
        """The files' short names, for a message."""
        return " + ".join(Path(file).name for file in self.sources)

    @property
    def sources(self) -> tuple[str, ...]:
        """Every file of the project that has a say in this model."""
        extra = () if self.env_file == os.devnull else (self.env_file,)
        return self.files + extra


def combinations(root: Path = ROOT) -> list[Combination]:
    """
    Return every combination of compose files that a task can select.

    Each stage with a GPU, without one and offline, alone and with each further
    overlay; and each stage with the example's environment.
    """
    names = {path.stem for path in (root / OVERLAYS).glob("*.yml")}
    # What changes the mode; that of a Swarm is held by test_swarm_models.py.
    further = [(), *((name,) for name in sorted(names - {"cpu", "offline", "swarm"}))]
    modes = [
        Combination(
            tuple(own_files(stage, offline=offline, gpu=gpu, overlays=overlays))
        )
        for stage in STAGES
        for offline, gpu in ((False, True), (False, False), (True, False))
        for overlays in further
    ]
    examples = [Combination(tuple(own_files(s)), ENV_EXAMPLE) for s in STAGES]
    return [*modes, *examples]


def rendered(
    files: list[str], *, root: Path, env_file: str = os.devnull, checked: bool = True
) -> dict[str, Any]:
    """Return the model that Compose prints for *files*; RuntimeError says why not."""
    command = ["docker", "compose", "--project-directory", str(root)]
    command += ["--env-file", str(root / env_file)]
    command += [word for file in files for word in ("-f", str(root / file))]
    command += ["config", "--format", "json"]
    command += [] if checked else ["--no-consistency"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    environment |= {"COMPOSE_PROJECT_NAME": "jimbot", "ANTHROPIC_API_KEY": "a-key"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        message = f"{' '.join(command)}: {done.stderr.strip()}"
        raise RuntimeError(message)
    model: dict[str, Any] = json.loads(done.stdout.replace(str(root), "/project"))
    return model


def project_model(combination: Combination, root: Path = ROOT) -> dict[str, Any]:
    """Return the flat model of the project's own files."""
    model = rendered(list(combination.files), root=root, env_file=combination.env_file)
    return dict(flat(model))


def guide_values(rows: list[Setting], folder: Path, root: Path = ROOT) -> list[Any]:
    """
    Return the value of each row as Compose prints it for the guide's own text.

    The rows of one section stand in one file; *folder* is where it may be written.
    """
    document = fragment([row for row in rows if not unprinted(row.path)])
    for service in document.get("services", {}).values():
        if not {"image", "build"} & service.keys():
            service["image"] = "unnamed"
    file = folder / "fragment.yml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    printed = {}
    if document:
        printed = dict(flat(rendered([str(file)], root=root, checked=False)))
    return [printed.get(canonical(row.path), row.value) for row in rows]


def fragment(rows: list[Setting]) -> dict[str, Any]:
    """Return the compose document that *rows* describe."""
    document: dict[str, Any] = {}
    for row in rows:
        _insert(document, row.path, row.value)
    return document


def unprinted(path: str) -> bool:
    """Tell whether Compose prints *path* not at all, or just as it was written."""
    return (
        path == "version"
        or path.startswith("x-")
        or path.endswith(".extends")
        or ".reservations.devices[" in path
    )


def written_values(file: Path) -> dict[str, Any]:
    """Return the flat settings of one compose file as its author wrote them."""
    return _flat_yaml(file.read_text(encoding="utf-8"))


@cache
def _flat_yaml(text: str) -> dict[str, Any]:
    return dict(flat(load_yaml(text)))


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (canonical path, value) of each setting of a model."""
    key = path.rsplit(".", 1)[-1]
    if key in LISTS and path.count(".") >= 2 and isinstance(value, list | dict):
        yield from _flat_list(value, path, key)
    elif key == "extends":
        yield path, value
    elif isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


@cache
def canonical(path: str) -> str:
    """Return *path* with each bracketed item reduced to what identifies it."""
    match = BRACKETED.match(path)
    if not match:
        return path
    head, item, tail = match.groups()
    if item.isdigit() and head.rsplit(".", 1)[-1] in {"devices", "config"}:
        return f"{head}[{item}]{tail}"
    return f"{head}[{identity(head.rsplit('.', 1)[-1], item)}]{tail}"


def identity(key: str, item: Any) -> str:
    """Return what tells one item of the list *key* from another."""
    if isinstance(item, dict):
        suffix = "/udp" if item.get("protocol") == "udp" else ""
        return str(item.get("target" if key != "secrets" else "source")) + suffix
    text = written(item)
    parts = re.sub(r"\$\{[^}]*\}", "variable", text).split(":")
    if key == "ports":
        return parts[-1]
    if key in {"volumes", "configs"}:
        return parts[1] if len(parts) > 1 else parts[0]
    if key in {"tmpfs", "extra_hosts"}:
        return re.split("[:=]", text)[0]
    return text


def _flat_list(value: Any, path: str, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{path}[{name}]", inner
        return
    for number, item in enumerate(value):
        if key in {"devices", "config"} and isinstance(item, dict):
            yield from flat(item, f"{path}[{number}]")
        else:
            yield f"{path}[{identity(key, item)}]", item


def _insert(document: dict[str, Any], path: str, value: Any) -> None:
    match = BRACKETED.match(path)
    if match and match[3]:
        items = _parent(document, match[1]).setdefault(match[1].rsplit(".")[-1], [])
        items.extend({} for _ in range(int(match[2]) + 1 - len(items)))
        _insert(items[int(match[2])], match[3].lstrip("."), value)
    elif match:
        parent = _parent(document, match[1])
        parent.setdefault(match[1].rsplit(".")[-1], []).append(value)
    else:
        _parent(document, path)[_keys(path)[-1]] = value


def _parent(document: dict[str, Any], path: str) -> dict[str, Any]:
    for key in _keys(path)[:-1]:
        document = document.setdefault(key, {})
    return document


def _keys(path: str) -> list[str]:
    keys = path.split(".")
    for number, key in enumerate(keys):
        if key in OPAQUE and number + 1 < len(keys):
            return [*keys[: number + 1], ".".join(keys[number + 1 :])]
    return keys
