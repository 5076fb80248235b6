"""Every volume is declared: kept by backups, or not data."""

from collections import Counter
from pathlib import Path

import pytest
from compose_models import rendered
from repository import ROOT, STAGES, own_files

from compose_ops.backup import undeclared
from compose_ops.backup.policy import policies
from compose_ops.products import load
from compose_ops.project.model import Model

FORGOTTEN = """
services:
  app:
    volumes: [forgotten_data:/forgotten]
volumes:
  forgotten_data:
"""


def merged(files: list[str]) -> Model:
    return Model(rendered(files, root=ROOT))


@pytest.mark.compose
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("offline", [False, True])
def test_every_writable_mount_is_data_or_disposable(
    stage: str, *, offline: bool
) -> None:
    """What nobody declares would be in no backup, and nobody would know."""
    model = merged(own_files(stage, offline=offline))
    kept = [key for policy in policies(model).values() for key in policy.volumes]
    spared = [
        key for key in undeclared.disposable(model, load()) if key in model.volumes
    ]

    assert model.volumes
    assert Counter([*kept, *spared]) == Counter([*model.volumes])
    assert undeclared.in_model(model, load()) == ()


@pytest.mark.compose
def test_volume_that_was_forgotten_is_noticed(tmp_path: Path) -> None:
    overlay = tmp_path / "forgotten.yml"
    overlay.write_text(FORGOTTEN)

    model = merged([*own_files("base"), str(overlay)])

    found = undeclared.in_model(model, load())

    assert found == ("app: forgotten_data on /forgotten",)
