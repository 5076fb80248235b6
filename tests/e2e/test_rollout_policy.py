"""What `update_config` says besides one by one and back, done on a real engine."""

import os
import time
from collections.abc import Iterator

import pytest
from e2e_scenario import docker
from open_load import Load
from rollout_site import RolloutSite, build, build_images, image, image_id, rollout_site

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.alone]

RUN = os.urandom(4).hex()
LOST = f"lost-{RUN}"  # the tag of an image that only this file's run has


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutSite]:
    build_images()
    with rollout_site(tmp_path_factory.mktemp("policy"), monitor="1s") as site:
        yield site


@pytest.fixture
def load(site: RolloutSite) -> Iterator[Load]:
    with Load("127.0.0.1", site.port) as load:
        load.wait_until(30)
        yield load


def running(site: RolloutSite) -> list[str]:
    return sorted(str(c["Image"]) for c in site.replicas())


def test_pause_keeps_the_slots_that_are_done(site: RolloutSite, load: Load) -> None:
    """The first replica is new, the second stays old, and both serve."""
    site.scenario.set(FAILURE_ACTION="pause")

    tag = "second-sick"
    failed = site.update("--image", image(tag), "--timeout", "3", code=8)
    load.stop()

    assert running(site) == sorted([image_id("v1"), image_id(tag)])
    assert "not healthy" in failed["error"]
    assert failed["proof"]["failed"] == 0
    assert load.failures == []
    site.assert_whole()


@pytest.mark.parametrize(
    ("tag", "action", "ratio"),
    [("first-sick", "continue", "0"), ("first-sick-too", "rollback", "0.5")],
)
def test_a_tolerated_failure_costs_its_own_slot_alone(
    site: RolloutSite, load: Load, tag: str, action: str, ratio: str
) -> None:
    """`continue`, or a ratio that is not exceeded: the next slot is updated."""
    before = set(running(site))
    site.scenario.set(FAILURE_ACTION=action, FAILURE_RATIO=ratio)

    failed = site.update("--image", image(tag), "--timeout", "3", code=8)
    load.stop()

    assert image_id(tag) in running(site)
    assert len(before & set(running(site))) == 1
    assert failed["proof"]["failed"] == 0
    assert "not healthy" in failed["error"]
    assert load.failures == []
    site.assert_whole()


def test_parallelism_replaces_that_many_at_once(site: RolloutSite, load: Load) -> None:
    """Two new ones stand beside the two old ones, and one delay is saved."""
    build(LOST, "good", f"10-{RUN}")
    site.scenario.set(PARALLELISM="2", FAILURE_ACTION="rollback", FAILURE_RATIO="0")
    words = ("rolling-update", "--service", "app", "--image", image(LOST))
    task = site.scenario.begin(*words)
    most = 0
    while task.poll() is None:
        most = max(most, len(site.replicas()))
        time.sleep(0.05)
    load.stop()

    assert task.communicate()[0]
    assert task.returncode == 0
    assert most == 4
    assert running(site) == [image_id(LOST)] * 2
    assert load.failures == []
    site.assert_whole()


def test_a_rollback_passes_the_same_checks_as_an_update(site: RolloutSite) -> None:
    """What an update refuses before its first step, a rollback refuses as well."""
    file = site.scenario.root / ".env"
    complete = file.read_text()
    before = [c["Id"] for c in site.replicas()]
    file.write_text(complete.replace("RAY_CPUS=", "RAY_CPUS_BEFORE="))
    try:
        for words in (("rolling-update",), ("rollback",)):
            refused = site.scenario.invoke(*words, "--service", "app", code=None)
            assert refused.returncode == 3, refused.stderr
            assert "RAY_CPUS" in refused.stderr
    finally:
        file.write_text(complete)

    assert [c["Id"] for c in site.replicas()] == before


def test_a_rollback_is_not_itself_gone_back_from(site: RolloutSite) -> None:
    """The next one goes a step further, not to the version that was left."""
    left = set(running(site))

    site.scenario.invoke("rollback", "--service", "app")
    first = set(running(site))
    site.scenario.invoke("rollback", "--service", "app", code=None)

    assert not left & first
    assert not left & set(running(site))


def test_a_rollback_to_an_image_that_prune_took_says_how_to_make_it_again(
    site: RolloutSite,
) -> None:
    """And touches nothing."""
    site.update("--image", image(LOST))
    site.update("--image", image("v1"))
    docker("image", "rm", "--force", image_id(LOST))  # as prune -a, of this one alone
    before = [c["Id"] for c in site.replicas()]

    refused = site.scenario.invoke("rollback", "--service", "app", code=3).stderr

    assert f"{image(LOST)} " in refused
    assert "was removed" in refused
    assert "--build" in refused
    assert "--image" in refused
    assert [c["Id"] for c in site.replicas()] == before
