"""
Ask local images what they hold: whether programs are there, who runs them.

An image is asked only when it is on this machine already; nothing is pulled or built.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from compose_ops.docker.api import Engine, Image, RunSpec
from compose_ops.errors import EngineError
from compose_ops.lint.image_facts import ImageFacts
from compose_ops.lint.rules.commands import wanted_binaries
from compose_ops.lint.target import LintTarget, Service

SCRIPT = 'for p in "$@"; do command -v "$p" >/dev/null 2>&1 && echo "$p"; done; exit 0'
TIMEOUT = 20.0


NAME = re.compile(r"[a-z0-9][\w.:/@-]*[\w]")
"""What the engine takes for an image's name; it refuses `example/app:`."""


def ask_images(
    subjects: Sequence[LintTarget], engine: Engine, *, start: bool = True
) -> tuple[LintTarget, ...]:
    """
    Return the subjects with what local images say of their services.

    Each image is asked once: its configuration, and with *start* a container of it for
    its programs. Services without a local image, and images without a shell, are left
    as they were. Raises EngineUnavailable when no engine answers.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for service in (one for subject in subjects for one in subject.services):
        if NAME.fullmatch(reference(service)):
            wanted[reference(service)].update(wanted_binaries(service))
    there = engine.images(wanted)
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(
            lambda name: ask(there.get(name), wanted[name], engine, start=start), wanted
        )
        known = dict(zip(wanted, answers, strict=True))
    return tuple(replace(one, images=answers_for(one, known)) for one in subjects)


def reference(service: Service) -> str:
    """Return the name of the image that Compose would run."""
    project = str(service.subject.model.get("name", ""))
    return str(service.get("image", default=f"{project}-{service.name}"))


def answers_for(
    subject: LintTarget, known: dict[str, ImageFacts | None]
) -> dict[str, ImageFacts]:
    """
    Return the answers of a subject's services.

    A built image may come from another combination, so of it only the programs count.
    """
    found = {}
    for service in subject.services:
        facts = known.get(reference(service))
        if facts is not None and service.get("build"):
            facts = ImageFacts(has=facts.has, lacks=facts.lacks)
        if facts is not None:
            found[service.name] = facts
    return found


def ask(
    image: Image | None, wanted: set[str], engine: Engine, *, start: bool
) -> ImageFacts | None:
    """Return an image's facts with which programs it has; None if absent or mute."""
    if image is None:
        return None
    config = image.raw.get("Config") or {}
    if not start:
        return facts_of_inspect(config, frozenset(), frozenset())
    spec = RunSpec(image.id, ["-c", SCRIPT, "sh", *sorted(wanted)], entrypoint="sh")
    try:
        output = engine.run(spec, timeout=TIMEOUT)
    except EngineError:
        return None
    if output.code != 0:
        return None
    has = frozenset(output.stdout.split()) & wanted
    return facts_of_inspect(config, has, frozenset(wanted - has))


def facts_of_inspect(
    config: dict[str, Any], has: frozenset[str], lacks: frozenset[str]
) -> ImageFacts:
    """Return the facts in an image's configuration as inspect prints it."""
    user = str(config.get("User") or "root").split(":")[0]
    test = (config.get("Healthcheck") or {}).get("Test") or ["NONE"]
    return ImageFacts(
        user="root" if user == "0" else user,
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        has_health=test != ["NONE"],
        has=has,
        lacks=lacks,
        volumes=tuple(config.get("Volumes") or ()),
        asked=True,
    )
