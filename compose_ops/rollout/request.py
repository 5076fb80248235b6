"""What a caller asks of an update."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """An image to deploy: its tag in place of the compose file's, and its name."""

    image: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """
    An image, a build, or every replica replaced and why (`forced`).

    `build` returns to what the files say; `make` makes the image of what is deployed.
    `restore_point` is a set that a store's update takes for one, in place of a copy.
    """

    image: str = ""
    build: bool = False
    make: Callable[[], None] | None = None
    choice: ImageChoice | None = None
    forced: str = ""
    is_rollback: bool = False
    restore_point: str = ""
    no_restore_point: bool = False
