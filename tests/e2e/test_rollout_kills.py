"""
SIGKILL to an update at its step boundaries: the next run converges.

With ROLLOUT_KILLS=all at every one of them, with ROLLOUT_KILLS=2,5 at those two,
otherwise at five that differ most.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from open_load import Load
from rollout_site import RolloutSite, build_images, image, image_id

pytestmark = pytest.mark.docker

KILL = Path(__file__).parent / "rollout/kill_at.py"
# the first replica's creation, its admission, the old one's retirement, the delay in
# which the second one is there already, the removal
ONE_OF_EACH = (1, 6, 9, 13, 22)
EVERY = tuple(range(1, 23))
WISH = os.environ.get("ROLLOUT_KILLS", "")
CHOSEN = (
    EVERY if WISH == "all" else [int(number) for number in WISH.split(",") if number]
)
BOUNDARIES = CHOSEN or ONE_OF_EACH
KILLED = -9


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutSite]:
    build_images()
    site = RolloutSite.started(tmp_path_factory.mktemp("kills"), monitor="1s")
    try:
        yield site
    finally:
        site.remove()


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
        for number, boundary in enumerate(BOUNDARIES):
            tag = ("v2", "v1")[number % 2]
            words = ("--service", "app", "--image", image(tag))
            code = killed_at(site, boundary, *words)
            assert code == KILLED, f"boundary {boundary}"
            site.update("--image", image(tag))
            assert site.images() == {image_id(tag)}, f"boundary {boundary}"
            site.assert_whole()
            assert load.failures == [], f"boundary {boundary}"
    assert load.failures == []
