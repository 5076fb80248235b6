"""SIGKILL to an update at every step boundary: the next run converges."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from open_load import Load
from rollout_site import RolloutSite, build_images, image, image_id

pytestmark = pytest.mark.docker

KILL = Path(__file__).parent / "rollout/kill_at.py"
MOST_BOUNDARIES = 40
KILLED = -9


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutSite]:
    build_images()
    site = RolloutSite.started(tmp_path_factory.mktemp("kills"), monitor="1s")
    try:
        yield site
    finally:
        site.scenario.remove()


def killed_at(site: RolloutSite, boundary: int, *words: str) -> int:
    """Run an update that dies at a boundary; return its exit code."""
    done = subprocess.run(
        [sys.executable, str(KILL), str(boundary), "rolling-update", *words],
        cwd=site.scenario.root,
        env=site.scenario.environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode


def test_whatever_boundary_it_dies_at_the_next_run_converges(
    site: RolloutSite,
) -> None:
    """Two healthy replicas of what was asked for, no leftover, no request lost."""
    with Load("127.0.0.1", site.port, rate=60.0) as load:
        for boundary in range(1, MOST_BOUNDARIES):
            tag = ("v1", "v2")[boundary % 2]
            words = ("--service", "app", "--image", image(tag))
            code = killed_at(site, boundary, *words)
            if code == 0:
                break
            assert code == KILLED, f"boundary {boundary}"
            site.update("--image", image(tag))
            assert site.images() == {image_id(tag)}, f"boundary {boundary}"
            site.assert_whole()
            assert load.failures == [], f"boundary {boundary}"
    assert boundary > 18
    assert load.failures == []
