"""The update of a store: its data has a way back, and takes it with the image."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_scenario import Scenario, created, docker
from notes_site import NOTES, count, strays, write

pytestmark = pytest.mark.docker

REPOSITORY = "localhost/compose-ops-test/notes"
# What each version does to the data before it serves.
VERSIONS = {
    "3.0-good": "seq 5 >>/data/notes",
    "3.1-spoils": "echo spoiled >/data/notes; touch /data/sick",
}


DOCKERFILE = """FROM localhost/jimbot-base:bookworm
RUN printf '%s\\n' '#!/bin/sh' '{does}' 'exec "$@"' >/entry && \\
    chmod +x /entry && echo {tag} >/version
ENTRYPOINT ["/entry"]
"""


def build(folder: Path, tag: str, does: str) -> None:
    (folder / "Dockerfile").write_text(DOCKERFILE.format(tag=tag, does=does))
    docker("build", "--quiet", "--tag", f"{REPOSITORY}:{tag}", str(folder))


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Yield a store with three notes."""
    for tag, does in VERSIONS.items():
        build(tmp_path_factory.mktemp("image"), tag, does)
    scenario = created(tmp_path_factory.mktemp("store"))
    notes = NOTES.replace("echo 2.1", "cat /version || echo 2.1")
    (scenario.root / "docker/overlays/notes.yml").write_text(notes)
    try:
        flags = ("--offline", "--overlay", "notes", "--service", "reader")
        scenario.invoke("up", *flags)
        write(scenario, 3)
        yield scenario
    finally:
        scenario.remove()


def left(scenario: Scenario) -> set[str]:
    """Return what lies in the store's volume."""
    return set(scenario.execute("notes", "ls", "-A", "/data").split())


def update(scenario: Scenario, tag: str, *words: str, code: int = 0) -> str:
    """Update the store; return what it said."""
    task = ("rolling-update", "--service", "notes", "--image", f"{REPOSITORY}:{tag}")
    return scenario.invoke(*task, *words, code=code).stderr


def test_a_version_that_spoils_the_data_takes_it_with_itself(
    scenario: Scenario,
) -> None:
    """The old one would be ill on what the new one left; all is said before."""
    before = docker("ps", "-q", "--filter", f"name={scenario.project}-notes")

    page = scenario.root / "update.html"
    said = update(scenario, "3.1-spoils", "--report", str(page), code=8)

    assert "from 2.1 to 3.1, another major version" in said
    assert said.index("a restore point before the new version starts") < said.index(
        "restore point made in"
    )
    assert "its data is that from before the update" in said
    assert count(scenario) == 3
    assert left(scenario) == {"notes", "ready", "end"}
    assert docker("ps", "-q", "--filter", f"name={scenario.project}-notes") == before
    assert strays(scenario) == ""
    assert "restore point" in page.read_text()


def test_a_plan_says_what_the_restore_point_costs(scenario: Scenario) -> None:
    said = scenario.invoke(
        "--dry",
        "rolling-update",
        "--service",
        "notes",
        "--image",
        f"{REPOSITORY}:3.0-good",
    ).stderr

    assert "a restore point before the new version starts" in said
    assert count(scenario) == 3


def test_a_set_that_no_drill_has_proven_is_no_restore_point(
    scenario: Scenario,
) -> None:
    made = scenario.json("backup", "--service", "notes")["id"]

    said = update(scenario, "3.1-spoils", "--restore-point", made, code=7)
    assert "no drill has proven it" in said

    scenario.invoke("drill", "--set", made)
    scenario.invoke("report", "--output", "sets.html")
    page = (scenario.root / "sets.html").read_text()
    assert made in page
    assert "proven: 20" in page
    write(scenario, 2)
    said = update(scenario, "3.1-spoils", "--restore-point", made, code=8)

    assert "its data is that from before the update" in said
    assert count(scenario) == 3


def test_a_good_version_leaves_a_point_to_go_back_to(scenario: Scenario) -> None:
    """`restore --undo` brings back the data from before the update."""
    update(scenario, "3.0-good")
    assert count(scenario) == 8
    assert "from before the update" in scenario.invoke("status").stdout

    scenario.invoke("restore", "--undo", "--service", "notes", "--yes")

    # Three notes, and the five that this version adds when it starts.
    assert count(scenario) == 8
