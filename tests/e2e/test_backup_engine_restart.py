"""An engine that restarts under a backup or a restore costs no data."""

import os
from collections.abc import Iterator

import pytest
from e2e_scenario import Scenario, created
from notes_site import assert_whole, count, held, started, write
from private_engine import PrivateEngine

from compose_ops.backup import helper
from compose_ops.state import lock

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="a second dockerd needs root"),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateEngine]:
    created(tmp_path_factory.mktemp("builder"))  # it builds the helper image
    with PrivateEngine() as engine:
        engine.load("localhost/jimbot-base:bookworm", helper.image())
        yield engine


@pytest.fixture(scope="module")
def notes(
    engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scenario]:
    """Return the notes with four lines, three of them in a set, on that engine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.host)
        # Without the stand-ins: they would have to be built on that engine.
        made = created(tmp_path_factory.mktemp("checkout"))
        scenario = started(made, "--gpu", "off")
        write(scenario, 3)
        scenario.invoke("backup", "--service", "notes")
        write(scenario, 1)
        yield scenario


RESTORE = ("restore", "--service", "notes", "--yes")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("asked copy", ("backup", "--service", "notes")),
        ("asked stage", RESTORE),
        ("asked swap in", RESTORE),
    ],
)
def test_restarted_engine_leaves_the_old_data_or_the_new(
    engine: PrivateEngine, notes: Scenario, step: str, words: tuple[str, ...]
) -> None:
    """The next command finds services, lock, sets and helpers as they have to be."""
    volumes = engine.docker("volume", "ls", "--quiet")
    with held(notes, step, *words) as task:
        engine.restart()
    code = task.returncode

    sets = notes.json("prune", "--keep-last", "99", "--yes")["kept"]

    assert code in {4, 5, 7}, (notes.root / "said").read_text()
    assert len(sets) == 1
    assert_whole(notes, step)
    assert (
        lock.holder(engine.docker("info", "--format", "{{.ID}}"), notes.project) == ""
    )
    assert engine.docker("volume", "ls", "--quiet") == volumes
    assert count(notes) == 4
    assert ".compose-ops-restore" not in notes.execute("notes", "ls", "-a", "/data")


def identity(engine: PrivateEngine) -> str:
    return engine.docker("info", "--format", "{{.ID}}")
