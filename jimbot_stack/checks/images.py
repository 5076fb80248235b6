"""Images: here, or to be had."""

from collections.abc import Iterator, Mapping

from jimbot_stack.checks.registry import check
from jimbot_stack.checks.verdict import Verdict, fail, listed, ok, warn
from jimbot_stack.engine import Container, Image
from jimbot_stack.model import Model
from jimbot_stack.stack import Stack


@check(
    "images-obtainable",
    "Every ready-made image is here, or a registry answers for it.",
    why="An image that cannot be had stops the start half way.",
)
def images_obtainable(
    stack: Stack,
    model: Model,
    wanted: tuple[str, ...],
    unreachable: Mapping[str, str],
) -> Iterator[Verdict]:
    for service, image in unreachable.items():
        if stack.mode.offline:
            said = f"the stand-in {image} of {service} is not built yet"
            yield ok(f"{said}: invoke up --offline builds it")
            continue
        yield fail(
            f"the image {image} of {service} is not here and no registry has it",
            "invoke up --offline",
            about=image,
        )
    made = [name for name in wanted if not model.service(name).get("build")]
    if not unreachable:
        yield ok(f"{listed(made)}: the images are here or a registry has them")


@check(
    "images-current",
    "Containers run the image that their name means now.",
    why="After a build or a pull the old image runs on until the next start.",
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
            f"{container.name} runs an older image than the {container.image} here",
            f"invoke up --service {container.service}",
            about=container.service,
        )
    if not old:
        yield ok("every container runs the image of its name")
