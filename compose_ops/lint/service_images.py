"""What is known of the image that a service runs: asked, built, or from the table."""

import re
from collections.abc import Sequence
from dataclasses import replace

from compose_ops.lint.dockerfile import Instruction, Stage, exec_form
from compose_ops.lint.image_facts import ImageFacts, known

BINARIES = re.compile(r"^(/|/usr|/usr/local|/opt)?/?(s?bin)?/?$")
INSTALLS = re.compile(
    r"\b(apt(-get)?|aptitude|apk|yum|dnf|microdnf|zypper|pacman|brew|conda|mamba|"
    r"install_packages)\b"
)
SCRIPTS = re.compile(
    r"\|\s*(sudo\s+)?(ba|da|a)?sh\b|\b(ba|da|a)?sh\s+\S*\w\.?\w*|\./\S+|\btar\b|\bunzip\b|"
    r"\bmake\b|\bdpkg\b|\brpm\b|\bcurl\b|\bwget\b|\bln\b|\bcp\b|\bmv\b|\bgit\b"
)
PYTHON = re.compile(r"^(python[\d.]*|pip[\d.]*)$")
BRINGS_PYTHON = re.compile(
    r"\b(py\w*|software-properties-common|supervisor|certbot|awscli|gdal\S*|ansible|"
    r"npm|nodejs|libreoffice\S*|inkscape|meson|uv|conda|miniconda\S*)\b"
)
BRINGS = {
    "nc": re.compile(r"\b(netcat\S*|nmap\S*|ncat|busybox\S*|openbsd-netcat)\b"),
    "wget": re.compile(r"\bbusybox\S*\b"),
    "bash": re.compile(r"\b(bash\S*|build-base|alpine-sdk)\b"),
}


def facts_of(
    image: str, stages: Sequence[Stage], asked: ImageFacts | None
) -> ImageFacts:
    """
    Return the facts of an image that is built by *stages*, the last one nearest to it.

    A local image that was asked knows best what it holds; what a Dockerfile states
    comes next, then the table's entry for the image that it starts from.
    """
    facts = known(image)
    for stage in stages:
        facts = refine(facts, stage)
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
    script = "\n".join(run.script for run in stage.every("RUN"))
    added = set(re.findall(r"[\w.+-]+", script))
    added |= {copy.text.rpartition("/")[2].strip(' "]') for copy in stage.every("COPY")}
    user, health = stage.last("USER"), stage.last("HEALTHCHECK")
    facts = replace(
        facts,
        user=user_of(user.text) if user else facts.user,
        steps_down=facts.steps_down and user is None,
        has_health=health_of(health) if health else facts.has_health,
        lacks=still_lacking(facts.lacks - added, stage, script),
        has=facts.has | added,
        volumes=(*facts.volumes, *volumes_of(stage)),
    )
    entrypoint, command = stage.last("ENTRYPOINT"), stage.last("CMD")
    if entrypoint:
        facts = replace(facts, entrypoint=shell_words(entrypoint, stage), command=())
    if command:
        facts = replace(facts, command=shell_words(command, stage))
    return facts


def still_lacking(lacks: frozenset[str], stage: Stage, script: str) -> frozenset[str]:
    """
    Return what an image still lacks after a stage's own steps.

    A package's name is not its program's: what an installed package may bring is no
    longer lacking, and nothing is where a script or an archive may bring anything.
    """
    copied = [c for c in stage.every("COPY", "ADD") if brings_programs(c)]
    if SCRIPTS.search(script) or copied:
        return frozenset()
    if not INSTALLS.search(script):
        return lacks
    return frozenset(
        name
        for name in lacks
        if not (PYTHON.match(name) and BRINGS_PYTHON.search(script))
        and not (name in BRINGS and BRINGS[name].search(script))
    )


def brings_programs(copy: Instruction) -> bool:
    """Say whether a COPY or ADD may put programs where PATH finds them."""
    target = (copy.words() or [""])[-1].strip('"]')
    if copy.keyword == "ADD" and re.search(r"\.(tar|tgz|txz|tar\.\w+)\b", copy.text):
        return True
    return bool(BINARIES.match(target)) and target not in {"./", "."}


def user_of(text: str) -> str | None:
    """Return the user that an instruction names, None where a variable does."""
    name = text.split(":", maxsplit=1)[0].strip().strip("\"'")
    if "$" in name:
        return None
    return "root" if name in {"root", "0"} else name


def health_of(instruction: Instruction) -> bool:
    return instruction.text.strip().upper() != "NONE"


def volumes_of(stage: Stage) -> list[str]:
    return [
        path
        for volume in stage.every("VOLUME")
        for path in volume.words()
        if "$" not in path
    ]


def shell_words(instruction: Instruction, stage: Stage) -> tuple[str, ...]:
    """Return the argv that an ENTRYPOINT or CMD runs."""
    argv = exec_form(instruction.text)
    if argv is not None:
        return argv
    shell = stage.last("SHELL")
    words = exec_form(shell.text) if shell is not None else None
    return (*(words or ("/bin/sh", "-c")), instruction.text)
