"""Where images keep their data, and which version moved it: from their Dockerfiles."""

import re
from collections.abc import Iterator
from dataclasses import dataclass


def version_of(image: str) -> tuple[int, ...]:
    """Return the version in an image's tag, empty where it states none."""
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    match = re.match(r"(?:latest-|v|pg)*(\d+(?:\.\d+)*)", tag)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def is_newest(image: str) -> bool:
    """Say whether an image is named without a version: it is the newest one."""
    name, colon, tag = image.rpartition("/")[2].partition(":")
    unnamed = not colon or tag in {"latest", "alpine"}
    return bool(name) and "@" not in image and unnamed


@dataclass(frozen=True, slots=True)
class MovedFolder:
    """A data folder that a version of an image moved, and what a mount there does."""

    pattern: re.Pattern[str]
    since: int
    old: str
    new: str
    fatal: bool
    effect: str


MOVED = (
    MovedFolder(
        re.compile(r"^(docker\.io/)?(library/)?postgres([:@]|$)"),
        18,
        "/var/lib/postgresql/data",
        "/var/lib/postgresql",
        fatal=True,
        effect="refuses to start with a mount at",
    ),
    MovedFolder(
        re.compile(r"^(docker\.io/)?(postgis/postgis|pgvector/pgvector)([:@]|$)"),
        18,
        "/var/lib/postgresql/data",
        "/var/lib/postgresql",
        fatal=True,
        effect="refuses to start with a mount at",
    ),
    MovedFolder(
        re.compile(r"^(docker\.io/)?(library/)?influxdb:2"),
        2,
        "/var/lib/influxdb",
        "/var/lib/influxdb2",
        fatal=False,
        effect="keeps nothing in",
    ),
    MovedFolder(
        re.compile(r"^(docker\.io/)?bitnami(legacy)?/postgresql([:@]|$)"),
        0,
        "/var/lib/postgresql/data",
        "/bitnami/postgresql",
        fatal=False,
        effect="keeps nothing in",
    ),
    MovedFolder(
        re.compile(r"^(docker\.io/)?bitnami(legacy)?/(mariadb|mysql)([:@]|$)"),
        0,
        "/var/lib/mysql",
        "/bitnami/mariadb or /bitnami/mysql",
        fatal=False,
        effect="keeps nothing in",
    ),
)


def moved(image: str) -> Iterator[tuple[MovedFolder, bool]]:
    """Yield the folders that this image's version moved, and whether that is sure."""
    version = version_of(image)
    for one in MOVED:
        if one.pattern.search(image):
            if one.since == 0 or (version and version[0] >= one.since):
                yield one, True
            elif not version and is_newest(image):
                yield one, False
