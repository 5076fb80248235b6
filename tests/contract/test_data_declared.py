"""Every volume is declared: kept by backups, or not data."""

from collections import Counter
from pathlib import Path

import pytest
from compose_models import rendered
from repository import ROOT, STAGES, own_files

from compose_ops.backup.policy import disposable, policies
from compose_ops.project.model import Model

FORGOTTEN = """
services:
  app:
    volumes: [forgotten_data:/forgotten]
volumes:
  forgotten_data:
"""


def declared(files: list[str]) -> tuple[set[str], Counter[str]]:
    """Return the model's volumes, and how often each is declared."""
    model = Model(rendered(files, root=ROOT))
    kept = [key for policy in policies(model).values() for key in policy.volumes]
    return set(model.volumes), Counter([*kept, *disposable(model)])


@pytest.mark.compose
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("offline", [False, True])
def test_every_volume_is_data_or_disposable(stage: str, *, offline: bool) -> None:
    """A volume that nobody declares would be in no backup, and nobody would know."""
    volumes, said = declared(own_files(stage, offline=offline))

    assert volumes
    assert said == Counter(volumes)


@pytest.mark.compose
def test_volume_that_was_forgotten_is_noticed(tmp_path: Path) -> None:
    overlay = tmp_path / "forgotten.yml"
    overlay.write_text(FORGOTTEN)

    volumes, said = declared([*own_files("base"), str(overlay)])

    assert volumes - set(said) == {"forgotten_data"}
