"""What other tasks do to a service that is rolled, on a real engine under load."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_scenario import docker
from open_load import Load
from rollout_site import RolloutSite, build_images, image, image_id, rollout_site

pytestmark = pytest.mark.docker

KILL = Path(__file__).parent / "rollout/kill_at.py"
RETIREMENT = "retire"  # of the first replica's old container


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutSite]:
    build_images()
    with rollout_site(tmp_path_factory.mktemp("tasks"), monitor="1s") as site:
        yield site


def test_a_restart_of_everything_loses_no_request(site: RolloutSite) -> None:
    """Replicas are replaced one by one, the gateway stays, the store restarts."""
    gateway = site.replicas("gateway")[0]["State"]["StartedAt"]
    store = site.replicas("store")[0]["State"]["StartedAt"]
    before = {c["Id"] for c in site.replicas()}

    with Load("127.0.0.1", site.port, rate=60.0) as load:
        load.wait_until(30)
        site.scenario.invoke("restart")

    assert load.failures == []
    assert site.replicas("gateway")[0]["State"]["StartedAt"] == gateway
    assert site.replicas("store")[0]["State"]["StartedAt"] != store
    assert not before & {c["Id"] for c in site.replicas()}
    site.assert_whole()


def test_another_subnet_is_refused_while_the_app_is_served(site: RolloutSite) -> None:
    """To make the network anew would take every replica away at once."""
    file = site.scenario.root / ".env"
    text, before = file.read_text(), {c["Id"] for c in site.replicas()}
    site.scenario.set(GATEWAY_SUBNET="10.98.76.0/24")
    try:
        refused = site.scenario.invoke("up", code=3).stderr
    finally:
        file.write_text(text)

    assert "gateway_network" in refused
    assert "invoke down" in refused
    assert {c["Id"] for c in site.replicas()} == before
    site.assert_whole()


def test_a_killed_update_is_put_right_without_its_gateway(site: RolloutSite) -> None:
    """`up` takes the old containers back first, and then starts what is missing."""
    words = ("rolling-update", "--service", "app", "--image", image("v2"))
    subprocess.run(
        [sys.executable, str(KILL), RETIREMENT, *words],
        cwd=site.scenario.root,
        env=site.scenario.environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert list(site.scenario.root.glob(".compose-ops/*/*/journal/update.json"))
    docker("stop", site.replicas("gateway")[0]["Id"])

    site.scenario.invoke("up")

    site.assert_whole()
    assert image_id("v1") in site.images()
    assert site.update()["result"] == "nothing-to-do"
