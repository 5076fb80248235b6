"""Where a page is written: checked before anything else is done."""

from pathlib import Path

from compose_ops.errors import OutputError, UsageError
from compose_ops.project.env_file import write_private

SUFFIXES = (".html", ".htm")


def check_path(path: str) -> Path | None:
    """
    Return where a page can be written, None where none is wanted.

    A page that is there is replaced; UsageError for what is no name of a page, or for a
    folder that is not there.
    """
    if not path:
        return None
    place = Path(path).expanduser().absolute()
    if place.suffix.lower() not in SUFFIXES:
        raise _refused(place, "its name does not end with .html")
    if place.is_dir() or not place.parent.is_dir():
        missing = place if place.is_dir() else place.parent
        raise _refused(place, f"{missing} is {'a' if place.is_dir() else 'no'} folder")
    try:
        partial = place.with_name(f".{place.name}.partial")
        partial.touch(0o600)
        partial.unlink()
    except OSError as refused:
        raise _refused(place, str(refused.strerror)) from refused
    return place


def write(path: Path, page: str) -> None:
    """Write a page whole, for its owner alone; OutputError where that is refused."""
    try:
        write_private(path, page)
    except OSError as refused:
        raise OutputError(
            f"the page {path} cannot be written: {refused.strerror}",
            hint="what it tells of is done; --json has the same figures",
        ) from refused


def _refused(path: Path, why: str) -> UsageError:
    return UsageError(
        f"no page can be written to {path}: {why}", hint="such as report.html"
    )
