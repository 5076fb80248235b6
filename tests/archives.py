"""Pack, check and unpack archives by the helper's own code, without a container."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from volume_helper import checking, copying, reserved, staging
from volume_helper.screen import Screen


def screen(*, files: int = 1000, size: int = 1 << 30) -> Screen:
    return Screen(files, size)


def packed(volume: Path, archive: Path, **options: object) -> dict[str, Any]:
    return copying.copy(
        volume,
        archive,
        **{  # type: ignore[arg-type]
            "compression": "zstd",
            "exclude": (),
            "order": (),
            "changes": "none",
            "progress": lambda _size: None,
        }
        | options,
    )


def checked(
    archive: Path,
    *,
    compression: str = "zstd",
    listing: Path | None = None,
    may_grow: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    return checking.check(
        archive,
        compression=compression,
        screen=screen(),
        progress=lambda _size: None,
        listing=listing,
        may_grow=may_grow,
    )


def staged(volume: Path, archive: Path, sha256: str) -> Path:
    staging.stage(
        volume,
        archive,
        restore="r-1",
        compression="zstd",
        screen=screen(),
        sha256=sha256,
        progress=lambda _size: None,
    )
    return volume / reserved.HOLDER / "r-1" / "staged"
