"""Images: present or available, and in use."""

from collections.abc import Iterator, Mapping

from compose_ops.docker.api import Container, Image
from compose_ops.doctor.facts.project import AbsentImage, HelperImage
from compose_ops.doctor.registry import check
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import Verdict, command, fail, listed, ok, warn


@check(
    "images-obtainable",
    "Every image that is not built is here, or available from its registry.",
    why="A missing image stops the start half way.",
)
def images_obtainable(
    stack: StackContext,
    model: Model,
    wanted: tuple[str, ...],
    absent_images: tuple[AbsentImage, ...],
) -> Iterator[Verdict]:
    light = stack.modes.substituting
    for image in absent_images:
        name = image.name
        detail = f"the image {name} of {image.service} is not here"
        if image.is_obtainable is None:
            yield warn(
                f"{detail} and its registry did not answer in time",
                command("docker", "pull", name),
                about=image.name,
            )
        elif not image.is_obtainable:
            yield fail(
                f"{detail} and no registry has it",
                f"invoke up --{light}" if light else command("docker", "pull", name),
                about=image.name,
            )
    made = [name for name in wanted if not model.service(name).get("build")]
    if all(image.is_obtainable for image in absent_images):
        yield ok(f"{listed(made)}: the images are here or a registry has them")


@check(
    "images-current",
    "Containers run the current image of their name.",
    why="After a build or a pull the old image keeps running until the next start.",
)
def images_current(
    ours: tuple[Container, ...], images: Mapping[str, Image]
) -> Iterator[Verdict]:
    old = [
        c
        for c in ours
        if c.is_running and c.image in images and images[c.image].id != c.image_id
    ]
    for container in old:
        yield warn(
            f"{container.name} runs an older image than the current {container.image}",
            f"invoke up --service {container.service}",
            about=container.service,
        )
    if not old:
        yield ok("every container runs the image of its name")


@check(
    "helper-image",
    "The image that reads and writes volumes for backups is here.",
    why="A prune of unused images removes it, and the nightly backup fails at night.",
)
def helper_image_here(model: Model, helper_image: HelperImage) -> Iterator[Verdict]:
    mounts = [m for s in model.services.values() for m in s.get("volumes") or ()]
    if not mounts:
        yield ok("no service has data")
    elif helper_image.is_here:
        yield ok(f"{helper_image.name} is here")
    elif helper_image.base:
        yield warn(
            f"the helper image of backups {helper_image.name} is not built; its base "
            f"{helper_image.base} is here",
            "invoke init",
            about="absent",
        )
    else:
        yield warn(
            f"the helper image of backups {helper_image.name} is not built, and none "
            "of its bases is here",
            "invoke init",
            about="absent without base",
        )
