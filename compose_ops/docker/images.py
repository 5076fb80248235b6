"""References to images, as Docker reads them: which of them name the same image."""

import re
from collections.abc import Iterable, Mapping

from compose_ops.docker.api import Image

DOMAIN = "docker.io"
_ID = re.compile(r"(?:sha256:)?([0-9a-f]{12,64})")


def normalised(reference: str) -> str:
    """
    Return *reference* in full: domain, path, and its digest or else its tag.

    A digest decides alone: Docker leaves out a tag beside it.

    >>> normalised("redis")
    'docker.io/library/redis:latest'
    >>> normalised("index.docker.io/library/redis:7")
    'docker.io/library/redis:7'
    >>> normalised("localhost:5000/app:1@sha256:ab")
    'localhost:5000/app@sha256:ab'
    """
    name, _, digest = reference.partition("@")
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        path, tag = name, "latest"
    first, slash, rest = path.partition("/")
    if not slash or not (set(".:") & set(first) or first == "localhost"):
        first, rest = DOMAIN, path
    if first == f"index.{DOMAIN}":
        first = DOMAIN
    if first == DOMAIN and "/" not in rest:
        rest = f"library/{rest}"
    return f"{first}/{rest}@{digest}" if digest else f"{first}/{rest}:{tag}"


def by_name(names: Iterable[str], found: Iterable[Image]) -> Mapping[str, Image]:
    """Return those of *found* that one of *names* stands for, by that name."""
    known: dict[str, Image] = {}
    ids: dict[str, Image] = {}
    for image in found:
        ids[image.id] = image
        known |= {normalised(name): image for name in (*image.tags, *image.digests)}
    matched = {name: known.get(normalised(name)) or _by_id(name, ids) for name in names}
    return {name: image for name, image in matched.items() if image}


def _by_id(name: str, ids: Mapping[str, Image]) -> Image | None:
    match = _ID.fullmatch(name)
    if match is None:
        return None
    return next((i for full, i in ids.items() if match[1] in full), None)
