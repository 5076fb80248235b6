"""What update_config says, and what else an update rests on, on a real engine."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from e2e_scenario import docker
from open_load import Load
from rollout_site import RolloutSite, build, build_images, image, image_id, rollout_site
from waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.slow]

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
    failed = site.update("--image", image(tag), "--timeout", "8", code=8)
    load.stop()

    assert running(site) == sorted([image_id("v1"), image_id(tag)])
    assert "healthy" in failed["error"]
    assert failed["proof"]["failed"] == 0
    assert load.failures == []
    site.assert_whole()


def test_a_tolerated_failure_costs_its_own_slot_alone(
    site: RolloutSite, load: Load
) -> None:
    """A ratio that is not exceeded: the next slot is updated."""
    tag = "first-sick"
    before = set(running(site))
    site.scenario.set(FAILURE_ACTION="rollback", FAILURE_RATIO="0.5")

    failed = site.update("--image", image(tag), "--timeout", "8", code=8)
    load.stop()

    assert image_id(tag) in running(site)
    assert len(before & set(running(site))) == 1
    assert failed["proof"]["failed"] == 0
    assert "healthy" in failed["error"]
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

    said = task.communicate()[0]
    assert task.returncode == 0, said
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


def test_a_store_keeps_its_data_and_returns_on_failure(site: RolloutSite) -> None:
    """Stop-first: the old container waits until the new one is proven."""
    old = site.replicas("store")[0]
    docker("exec", old["Id"], "sh", "-c", "echo executed >/data/executed")

    failed = site.update(
        "--image", image("sick"), "--timeout", "5", code=8, service="store"
    )
    assert [c["Id"] for c in site.replicas("store")] == [old["Id"]]
    assert site.replicas("store")[0]["Name"] == old["Name"]
    assert "healthy" in failed["error"]

    site.update("--image", image("v2"), service="store")
    new = site.replicas("store")
    kept = docker("exec", new[0]["Id"], "cat", "/data/executed")

    assert [c["Name"] for c in new] == [old["Name"]]
    assert new[0]["Id"] != old["Id"]
    assert kept == "executed\n"
    assert site.update(service="store")["result"] == "nothing-to-do"


def test_a_post_whose_replica_dies_is_executed_once(site: RolloutSite) -> None:
    """The gateway does not send it to another replica."""
    before = int(site.page("/kept"))

    with _one_death(site), pytest.raises(OSError, match=r"502|503"):
        site.page_post("/die")

    assert int(site.page("/kept")) == before + 1


def test_a_get_whose_replica_dies_is_answered_by_another(site: RolloutSite) -> None:
    """The client sees nothing of it: the gateway has asked twice."""
    with _one_death(site):
        assert site.page("/die") == "asked 2 times"


def test_the_gateway_restarts_with_healthy_replicas_alone(site: RolloutSite) -> None:
    """No task runs, and it sends requests to both again, which an update admitted."""
    gateway = site.replicas("gateway")[0]["Id"]
    docker("restart", gateway)
    docker("restart", site.replicas()[0]["Id"])

    eventually(lambda: _answers(site))
    eventually(lambda: all(_is_healthy(c) for c in site.replicas()))
    eventually(lambda: site.admitted() == site.addresses())
    site.assert_whole()


@contextmanager
def _one_death(site: RolloutSite) -> Iterator[None]:
    """
    Wait until the replica that died in it was started again and is admitted.

    Without the first wait the gateway may not have seen the death yet: both replicas
    would count as admitted while one of them is away.
    """
    before = {c["State"]["StartedAt"] for c in site.replicas()}
    yield
    eventually(lambda: {c["State"]["StartedAt"] for c in site.replicas()} != before)
    eventually(lambda: all(_is_healthy(c) for c in site.replicas()))
    eventually(lambda: site.admitted() == site.addresses())


def _is_healthy(container: dict[str, Any]) -> bool:
    return bool(container["State"]["Health"]["Status"] == "healthy")


def _answers(site: RolloutSite) -> bool:
    try:
        return bool(json.loads(site.page())["version"])
    except OSError:
        return False
