"""What is known of the image that a service runs: asked, built, or from the table."""

from dataclasses import replace
from typing import TYPE_CHECKING

from compose_ops.lint.dockerfile import Instruction, Stage, exec_form
from compose_ops.lint.image_facts import ImageFacts, known

if TYPE_CHECKING:
    from compose_ops.lint.target import Service


def facts_of(service: "Service") -> ImageFacts:
    """
    Return the facts of a service's image.

    A local image that was asked knows best what it holds; what a Dockerfile states
    comes next, then the table's entry for the image that it starts from.
    """
    facts = known(service.image)
    for stage in reversed(service.stages):
        facts = refine(facts, stage)
    asked = service.subject.images.get(service.name)
    if asked is None:
        return facts
    lacks = (facts.lacks - asked.has) | asked.lacks
    has = (facts.has - asked.lacks) | asked.has
    if not asked.asked:
        return replace(facts, lacks=lacks, has=has)
    return replace(
        asked,
        steps_down=facts.steps_down,
        packages=facts.packages,
        entrypoint=asked.entrypoint if facts.entrypoint else (),
        lacks=lacks,
        has=has,
    )


def refine(facts: ImageFacts, stage: Stage) -> ImageFacts:
    """Return the facts after a Dockerfile stage."""
    added = {word for run in stage.every("RUN") for word in run.text.split()}
    added |= {copy.text.rpartition("/")[2].strip(' "]') for copy in stage.every("COPY")}
    user, health = stage.last("USER"), stage.last("HEALTHCHECK")
    facts = replace(
        facts,
        user=user_of(user.text) if user else facts.user,
        steps_down=facts.steps_down and user is None,
        has_health=health_of(health) if health else facts.has_health,
        lacks=facts.lacks - added,
        has=facts.has | added,
        volumes=(*facts.volumes, *volumes_of(stage)),
    )
    entrypoint, command = stage.last("ENTRYPOINT"), stage.last("CMD")
    if entrypoint:
        facts = replace(facts, entrypoint=shell_words(entrypoint), command=())
    if command:
        facts = replace(facts, command=shell_words(command))
    return facts


def user_of(text: str) -> str:
    name = text.split(":", maxsplit=1)[0].strip()
    return "root" if name in {"root", "0"} else name


def health_of(instruction: Instruction) -> bool:
    return instruction.text.strip().upper() != "NONE"


def volumes_of(stage: Stage) -> list[str]:
    return [path for volume in stage.every("VOLUME") for path in volume.words()]


def shell_words(instruction: Instruction) -> tuple[str, ...]:
    """Return the argv that an ENTRYPOINT or CMD runs."""
    argv = exec_form(instruction.text)
    return argv if argv is not None else ("/bin/sh", "-c", instruction.text)
