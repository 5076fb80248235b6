"""The name of the helper image, which says what it was built from."""

from hashlib import sha256
from pathlib import Path

CONTEXT = Path(__file__).parent / "helper_image"
NAME = "localhost/compose-ops-helper"


def image() -> str:
    """Return the helper image's name: its tag is a hash of what it is built from."""
    digest = sha256()
    for path in sorted(CONTEXT.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(CONTEXT)).encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return f"{NAME}:{digest.hexdigest()[:12]}"
