"""Containers are paused although the kernel is too busy to freeze one at once."""

from pathlib import Path

import pytest
from docker_script import Client

from compose_ops.docker.client import DockerEngine
from compose_ops.errors import EngineError

# Notes what it was asked to pause; refuses "slow" so often, with runc's words.
PAUSING = """
words = sys.argv[sys.argv.index("pause") + 1:]
noted = pathlib.Path(%r)
before = noted.read_text() if noted.exists() else ""
noted.write_text(before + " ".join(words) + "\\n")
if "slow" in words and before.count("slow") < %d:
    print("Error response from daemon: cannot pause container slow: "
          "OCI runtime pause failed: %s: unknown", file=sys.stderr)
    sys.exit(1)
"""


@pytest.mark.parametrize("refusals", [0, 1, 2])
def test_container_that_was_not_frozen_at_once_is_tried_again(
    client: Client, tmp_path: Path, refusals: int
) -> None:
    """The others are paused already, and would refuse."""
    noted = tmp_path / "noted"
    client("import pathlib, sys" + PAUSING % (str(noted), refusals, "unable to freeze"))

    DockerEngine().pause("other", "slow")

    assert noted.read_text().splitlines() == ["other slow", *["slow"] * refusals]


@pytest.mark.parametrize(
    ("refusals", "words", "tried"),
    [(9, "unable to freeze", 3), (9, "no such container", 1)],
)
def test_pause_that_stays_refused_is_told(
    client: Client, tmp_path: Path, refusals: int, words: str, tried: int
) -> None:
    noted = tmp_path / "noted"
    client("import pathlib, sys" + PAUSING % (str(noted), refusals, words))

    with pytest.raises(EngineError, match=words):
        DockerEngine().pause("slow")

    assert len(noted.read_text().splitlines()) == tried
