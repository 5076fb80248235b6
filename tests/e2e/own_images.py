"""The project's own images, built on the local base under throw-away names."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e_scenario import docker, inspected
from literal_engine import BASE
from repository import ROOT

CUDA = "nvidia/cuda:11.8.0-cudnn8-runtime-ubuntu22.04"
PYTHON = "3.11"


def fingerprint(context: Path) -> str:
    """Return a tag for what is built of a folder's files."""
    digest = hashlib.sha256()
    for file in sorted(path for path in context.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(context)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def is_there(image: str) -> bool:
    return bool(inspected("image", [image]))


@contextmanager
def app_image(*, target: str = "", context: Path = ROOT) -> Iterator[str]:
    """Build the application's image, of the stage *target* where one is named."""
    stage = ("--target", target) if target else ()
    options = (
        *("--file", str(context / "docker/services/app/Dockerfile"), *stage),
        *("--build-context", f"python:{PYTHON}-slim=docker-image://{BASE}"),
    )
    with _built("app", *options, str(context)) as image:
        yield image


@contextmanager
def ray_image() -> Iterator[str]:
    """Build Ray's image, without torch."""
    options = (
        *("--build-context", f"{CUDA}=docker-image://{BASE}"),
        *("--build-arg", "RAY_TORCH="),
    )
    with _built("ray", *options, str(ROOT / "docker/services/ray")) as image:
        yield image


@contextmanager
def _built(service: str, *words: str) -> Iterator[str]:
    image = f"localhost/jimbot-test-{service}-{os.urandom(4).hex()}"
    arguments = ("--build-arg", f"PYTHON_VERSION={PYTHON}", "--tag", image)
    docker("build", "--quiet", *arguments, *words)
    try:
        yield image
    finally:
        docker("image", "rm", image, check=False)
