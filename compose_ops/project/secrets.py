"""The secrets of a project: what must never leave in text."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from compose_ops import redaction
from compose_ops.docker.api import Container

MAX_BYTES = 64 * 1024


def learn(model: Mapping[str, Any]) -> None:
    """
    Let every secret of a merged compose model be replaced in text from now on.

    Secrets are the contents of secret files, variables, build arguments and labels
    whose name says so, and the passwords of URLs. The names of services, volumes,
    networks and images count as common words.
    """
    services: Mapping[str, Mapping[str, Any]] = model.get("services") or {}
    redaction.spare(_names(model))
    for service in services.values():
        for pairs in _pairs(service):
            redaction.learn_mapping(pairs)
        for words in _commands(service):
            _learn_flags(words)
    for name, secret in (model.get("secrets") or {}).items():
        _learn_secret(name, secret or {})


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
    """Learn what follows a flag such as `--password`, as a word of its own or not."""
    for word, following in pairwise([*words, ""]):
        flag, _, value = word.partition("=")
        if flag.startswith("-") and redaction.is_secret_name(flag.replace("-", "_")):
            redaction.learn(value or following, key=flag)


def _learn_secret(name: str, secret: Mapping[str, Any]) -> None:
    if variable := secret.get("environment"):
        redaction.learn(os.environ.get(str(variable), ""), key=name)
    if file := secret.get("file"):
        path = Path(str(file))
        try:
            if path.is_file() and path.stat().st_size <= MAX_BYTES:
                redaction.learn_file(path.read_text(errors="replace"), key=name)
        except OSError:
            return


def _names(model: Mapping[str, Any]) -> Iterator[str]:
    yield str(model.get("name", ""))
    for section in ("services", "volumes", "networks", "secrets", "configs"):
        yield from model.get(section) or {}
    for service in (model.get("services") or {}).values():
        image = str(service.get("image", ""))
        yield from (image, *image.replace(":", "/").split("/"))
