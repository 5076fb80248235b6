"""The secrets of a project: what must never leave in text."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from compose_ops import redaction
from compose_ops.docker.api import Container

MAX_BYTES = 64 * 1024


SECRETS = "/run/secrets/"
"""Where Compose mounts secrets."""

_SECTION = re.compile(r"(?ms)^secrets[ \t]*:(.*?)(?=^[^\s#]|\Z)")
_FILE = re.compile(
    r"(?<!\w)[\"']?file[\"']?\s*:\s*(?:\"([^\"]+)\"|'([^']+)'|([^\s,}#]+))"
)
_DEFAULT = re.compile(r"\$\{(\w+)(?::?-([^${}]*))?[^{}]*\}|\$(\w+)")


def learn(model: Mapping[str, Any], variables: Mapping[str, str] | None = None) -> None:
    """
    Let every secret of a merged compose model be replaced in text from now on.

    Secrets are the contents of secret files, *variables* that are secrets (None for
    the shell's), variables, build arguments and labels whose name says so, what a
    config holds beside such a name, and the passwords of URLs. The names of services,
    volumes, networks and images count as common words.
    """
    services: Mapping[str, Mapping[str, Any]] = model.get("services") or {}
    redaction.spare(_names(model))
    for service in services.values():
        for pairs in _pairs(service):
            redaction.learn_mapping(pairs)
        for words in _commands(service):
            _learn_flags(words)
    for name, secret in (model.get("secrets") or {}).items():
        _learn_secret(
            name, secret or {}, os.environ if variables is None else variables
        )
    for config in (model.get("configs") or {}).values():
        redaction.learn_settings(str((config or {}).get("content") or ""))


def learn_container(container: Container) -> None:
    """Learn the secrets that a container was created with: files change meanwhile."""
    config = container.raw.get("Config") or {}
    pairs = (str(line).partition("=") for line in config.get("Env") or ())
    check = config.get("Healthcheck") or {}
    service = {
        "environment": {name: value for name, _, value in pairs},
        "labels": config.get("Labels") or {},
        "command": config.get("Cmd"),
        "entrypoint": config.get("Entrypoint"),
        "healthcheck": {"test": check.get("Test")},
    }
    learn({"services": {container.service: service}})
    for mount in container.mounts:
        if mount.target.startswith(SECRETS):
            learn_file(Path(mount.source), key=Path(mount.target).name)


def learn_stated(
    files: Iterable[Path], folder: Path, variables: Mapping[str, str]
) -> None:
    """
    Learn the secrets of compose files that are not valid, as far as they show.

    They are what stands beside a name that says so, and the files below `secrets:`,
    whose paths are of *folder*.
    """
    for file in files:
        try:
            text = file.read_text(errors="replace")
        except OSError:
            continue
        redaction.learn_settings(text)
        for section in _SECTION.findall(text):
            for path in map("".join, _FILE.findall(section)):
                stated = _DEFAULT.sub(lambda found: _value(found, variables), path)
                learn_file(folder / stated, key=Path(stated).stem)


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, default, bare = found.groups()
    return variables.get(name or bare) or default or ""


def learn_file(path: Path, *, key: str) -> None:
    """Learn what a secret file holds, where it is one and can be read."""
    with suppress(OSError, RuntimeError, ValueError):  # the paths are foreign text
        place = path.expanduser()
        if place.is_file() and place.stat().st_size <= MAX_BYTES:
            redaction.learn_file(place.read_text(errors="replace"), key=key)


def _pairs(service: Mapping[str, Any]) -> Iterator[Mapping[str, object]]:
    build = service.get("build")
    arguments = build.get("args") if isinstance(build, dict) else None
    for found in (service.get("environment"), service.get("labels"), arguments):
        if isinstance(found, dict):
            yield found


def _commands(service: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    check = service.get("healthcheck") or {}
    for found in (service.get("command"), service.get("entrypoint"), check.get("test")):
        if isinstance(found, list):
            yield [str(word) for word in found]


def _learn_flags(words: Sequence[str]) -> None:
    """Learn what follows a flag such as `--password`, also inside a script."""
    for word, following in pairwise([*words, ""]):
        flag, _, value = word.partition("=")
        if flag.startswith("-") and redaction.is_secret_name(flag.replace("-", "_")):
            redaction.learn(value or following, key=flag)
    for word in redaction.words_in(" ".join(words)):
        redaction.learn(word)


def _learn_secret(
    name: str, secret: Mapping[str, Any], variables: Mapping[str, str]
) -> None:
    if variable := secret.get("environment"):
        redaction.learn(variables.get(str(variable), ""), key=name)
    if file := secret.get("file"):
        learn_file(Path(str(file)), key=name)


def _names(model: Mapping[str, Any]) -> Iterator[str]:
    yield str(model.get("name", ""))
    for section in ("services", "volumes", "networks", "secrets", "configs"):
        yield from model.get(section) or {}
    for service in (model.get("services") or {}).values():
        image = str(service.get("image", ""))
        yield from (image, *image.replace(":", "/").split("/"))
