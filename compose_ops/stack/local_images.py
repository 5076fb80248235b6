"""The images that the offline stack stands on, built on this machine alone."""

import os
import subprocess
import sys
from pathlib import Path

from compose_ops.docker.api import Engine
from compose_ops.errors import EngineError

BASE_IMAGE = "localhost/jimbot-base:bookworm"
STANDINS_FILE = "docker/standins/compose.yml"


def missing_images(engine: Engine, root: Path) -> tuple[str, ...]:
    """Return the base and stand-in images that are not there."""
    file = str(root / STANDINS_FILE)
    listed = engine.docker("compose", "--file", file, "config", "--images")
    wanted = (BASE_IMAGE, *sorted(listed.stdout.split()))
    there = engine.images(wanted)
    return tuple(name for name in wanted if name not in there)


def prepare(engine: Engine, root: Path) -> None:
    """Build the base image, then every stand-in; what is current is not built again."""
    base = subprocess.run(
        [root / "scripts" / "base-image.sh", "--yes"],
        stdout=sys.stderr,
        stdin=subprocess.DEVNULL,
        env=os.environ,
        check=False,
    )
    if base.returncode != 0:
        raise EngineError(
            "the offline base image did not build",
            hint="./scripts/base-image.sh shows where it stops",
        )
    output = engine.docker(
        "compose", "--file", str(root / STANDINS_FILE), "build", "--quiet"
    )
    if output.code != 0:
        raise EngineError(
            "the stand-in images did not build",
            hint=f"docker compose -f {STANDINS_FILE} build shows where it stops",
            detail="\n".join(output.stderr.strip().splitlines()[-10:]),
        )
