"""A task that dies at any step leaves nothing that the next one does not put right."""

from collections.abc import Iterator

import pytest
from e2e_scenario import Scenario
from notes_site import assert_whole, count, dying, started, write

pytestmark = pytest.mark.docker


@pytest.fixture
def notes(scenario: Scenario) -> Scenario:
    """Return a scenario whose only running services are the notes and their reader."""
    return started(scenario)


def points(scenario: Scenario, *words: str) -> list[str]:
    """Run a task to its end and return the step boundaries that it passed."""
    file = scenario.root / "boundaries"
    file.unlink(missing_ok=True)
    done = dying(scenario, 0, *words)
    assert done.returncode == 0, done.stderr
    return file.read_text().splitlines()


def _each_death(scenario: Scenario, *words: str) -> Iterator[str]:
    """Let the task die at each boundary in turn; yield once it was put right."""
    steps = points(scenario, *words)
    for number, step in enumerate(steps, start=1):
        (scenario.root / "boundaries").unlink()
        assert dying(scenario, number, *words).returncode == -9
        scenario.invoke("prune", "--keep-last", "999", "--yes")
        yield f"{words[0]}, {step}"


def test_backup_that_dies_anywhere_is_put_right(notes: Scenario) -> None:
    """SIGKILL at every step: the services run again, no partial set is a set."""
    write(notes, 3)
    for step in _each_death(notes, "backup", "--service", "notes"):
        assert_whole(notes, step)
        assert count(notes) == 3, step
    notes.invoke("verify")


def test_restore_that_dies_anywhere_ends_old_or_new(notes: Scenario) -> None:
    """SIGKILL at every step: the data is the old or the new, whole."""
    write(notes, 3)
    notes.invoke("backup", "--service", "notes")
    write(notes, 4)
    for step in _each_death(notes, "restore", "--service", "notes", "--yes"):
        assert_whole(notes, step)
        found = count(notes)
        assert found in {3, 7}, step
        if found == 3:
            write(notes, 4)
