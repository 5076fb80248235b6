"""The project's own files, for tests that hold them to something."""

from dataclasses import replace
from pathlib import Path

from compose_ops.config import Config, load
from compose_ops.project.modes import Mode, Modes
from compose_ops.project.paths import ENV_EXAMPLE

ROOT = Path(__file__).resolve().parents[1]
BASE_FILE = "docker-compose.yml"
OVERLAYS = "docker/overlays"
STAGES = ("base", "dev", "prod")
CONFIG = load(ROOT)

__all__ = ["BASE_FILE", "CONFIG", "ENV_EXAMPLE", "OVERLAYS", "ROOT", "STAGES"]


def config_in(folder: Path) -> Config:
    """Return this project's configuration as that of another *folder*."""
    return replace(CONFIG, folder=folder)


def own_modes() -> Modes:
    """Return every mode of this project."""
    return CONFIG.modes_of(tuple(map(CONFIG.path, CONFIG.files)))


def own_mode(
    name: str = "base",
    *,
    offline: bool = False,
    gpu: bool = True,
    overlays: tuple[str, ...] = (),
) -> Mode:
    """Return a mode of this project."""
    names = (name, "offline") if offline else (name,)
    return own_modes().select(
        names,
        overlays=overlays,
        facts=("gpu", "no-gpu"),
        gpu=None if offline else gpu,
    )


def own_files(
    name: str = "base",
    *,
    offline: bool = False,
    gpu: bool = True,
    overlays: tuple[str, ...] = (),
) -> list[str]:
    """Return the compose files of such a mode, relative to the project's folder."""
    mode = own_mode(name, offline=offline, gpu=gpu, overlays=overlays)
    return [str(file.relative_to(ROOT)) for file in mode.files]
