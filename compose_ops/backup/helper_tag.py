"""The names of the helper images, which say what they were built from."""

from hashlib import sha256
from pathlib import Path

CONTEXT = Path(__file__).parent / "helper_image"
REPOSITORY_CONTEXT = Path(__file__).parent / "repository_image"
NAME = "localhost/compose-ops-helper"


def image() -> str:
    """Return the helper image's name: its tag is a hash of what it is built from."""
    return f"{NAME}:{_digest(CONTEXT)}"


def repository_image() -> str:
    """Return the name of the helper image with restic, which stands on the other."""
    return f"{image()}-restic-{_digest(REPOSITORY_CONTEXT)}"


def _digest(context: Path) -> str:
    digest = sha256()
    for path in sorted(context.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(context)).encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
