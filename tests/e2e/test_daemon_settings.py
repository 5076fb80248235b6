"""The engine takes the settings that the project keeps for it."""

import shutil
import subprocess

import pytest
from repository import ROOT

pytestmark = pytest.mark.docker


def test_the_engine_accepts_the_daemon_settings() -> None:
    """The file that the project keeps for the machine is valid for the engine."""
    dockerd = shutil.which("dockerd")
    assert dockerd, "the engine's own binary is needed to check its configuration"

    done = subprocess.run(
        [dockerd, "--validate", "--config-file", ROOT / "docker/daemon.json"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
