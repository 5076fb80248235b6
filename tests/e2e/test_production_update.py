"""New code in production: what updates, rebuilds and a rollback do to what serves."""

from collections.abc import Iterator

import pytest
from e2e_scenario import Scenario, docker, inspected
from production_site import edit, name, production_site, replicas

# The rate of the proof is measured: no other stack may use the machine meanwhile.
pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.alone]

# Long enough that preparing and building, when nothing is asked yet, count for little
# in the rate over the whole update.
WINDOW = "10s"


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    root = tmp_path_factory.mktemp("production")
    with production_site(root, monitor=WINDOW) as scenario:
        yield scenario


def test_new_code_gets_in_by_an_update_that_loses_no_request(
    production: Scenario,
) -> None:
    """A build and a changed key replace both replicas, and the proof counts it."""
    before = {c["Id"] for c in replicas(production)}
    production.set(ANTHROPIC_API_KEY="another")
    edit(production, '"name": "jimbot"', '"name": "jimbot two"')
    assert name(production) == "jimbot"

    outcome = production.json("rolling-update", "--service", "app", "--build")
    after = replicas(production)

    assert outcome["result"] == "updated"
    assert outcome["proof"]["failed"] == 0
    assert outcome["proof"]["requests"] / outcome["seconds"] > 50
    assert name(production) == "jimbot two"
    assert len(after) == 2
    assert not before & {c["Id"] for c in after}


def test_an_update_right_after_an_update_has_nothing_to_do(
    production: Scenario,
) -> None:
    """What the test before has just updated is as it was asked for."""
    found = production.json("rolling-update", "--service", "app", "--dry")

    assert found["result"] == "nothing-to-do"


def test_a_bad_rebuild_leaves_nothing_behind(production: Scenario) -> None:
    """The replicas stay, and so does the image that later tasks start."""
    before = replicas(production)
    edit(production, "import AsyncIterator", "import NothingOfTheKind")

    production.invoke("rebuild", "--service", "app", "--cache", code=8)

    assert {c["Id"] for c in replicas(production)} == {c["Id"] for c in before}
    image = inspected("image", [f"{production.project}-app"])[0]["Id"]
    assert {c["Image"] for c in before} == {image}
    found = production.json("rolling-update", "--service", "app", "--dry")
    assert found["result"] == "nothing-to-do"


def test_a_rollback_brings_the_code_back(production: Scenario) -> None:
    """What the checkout says meanwhile does not matter."""
    left = replicas(production)[0]["Image"]

    production.invoke("rollback", "--service", "app")

    assert name(production) == "jimbot"
    now = replicas(production)[0]["Image"]
    assert kept(production) == {now}
    assert left != now
    words = ("rolling-update", "--service", "app", "--image", now, "--dry")
    assert production.json(*words)["result"] == "nothing-to-do"


def kept(scenario: Scenario) -> set[str]:
    """Return the ids of the images that are kept for the project."""
    pattern = f"reference=localhost/{scenario.project}-app:kept-*"
    names = docker(
        *("image", "ls", "--filter", pattern),
        *("--format", "{{.Repository}}:{{.Tag}}"),
    )
    return {str(found["Id"]) for found in inspected("image", names.split())}
