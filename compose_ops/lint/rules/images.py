"""Images: pinned."""

import re
from collections.abc import Iterator

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.target import LintTarget, Service

MOVING = frozenset({"latest", "stable", "edge", "main", "master", "nightly", "dev"})
IN_PLACE = re.compile(r"^(localhost/|scratch$)")


def moves(image: str) -> str:
    """Return why an image's name may mean another image tomorrow, empty if not."""
    if not image or "@sha256:" in image or IN_PLACE.search(image) or "$" in image:
        return ""
    _, colon, tag = image.rpartition("/")[2].partition(":")
    if not colon:
        return "has no tag, so it is latest"
    if not tag:
        return ""
    return f"moves with its tag {tag}" if tag.lower() in MOVING else ""


def is_replaced(service: Service, base: str) -> bool:
    """Say whether the build swaps this base for a named context."""
    contexts = service.get("build", "additional_contexts", default={})
    listed = contexts if isinstance(contexts, list) else list(contexts)
    return any(str(one).startswith(base) for one in listed)


@rule(
    "image-unpinned",
    "warning",
    "An image is named by a tag that moves.",
    why="Two machines, or one machine after a pull, run different programs under one "
    "name; an update comes when nobody asked for it, and no way back is kept.",
    source="hadolint DL3006, DL3007; memgraph 3.10.0 refuses flags that 3.9 ignored",
    repair="Name a version, or a digest; keep it in `.env` where it is a variable.",
)
def image_unpinned(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        image = str(service.get("image", default=""))
        if not service.get("build") and moves(image):
            yield RawFinding(
                service.path("image"), f"{service.name}: {image} {moves(image)}"
            )
        for stage in service.needed_stages if service.build else ():
            if service.build and service.build.dockerfile.below(stage) is not None:
                continue
            if moves(stage.base) and not is_replaced(service, stage.base):
                yield RawFinding(
                    service.path("build"),
                    f"{service.name}: FROM {stage.base} {moves(stage.base)}",
                    "",
                    service.build.dockerfile.path if service.build else None,
                    stage.line,
                )
