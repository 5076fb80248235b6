"""
SIGKILL to an update at its step boundaries: the next run converges.

With ROLLOUT_KILLS=all at every boundary of an update, of one that goes back, of a
store's, and of the run that cleans up after either; with ROLLOUT_KILLS=2/5 at a second
fifth of those; otherwise at the ones that differ most.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import pytest
from e2e_scenario import docker
from open_load import Load
from rollout_site import RolloutSite, build_images, image, image_id, rollout_site

pytestmark = [pytest.mark.docker, pytest.mark.slow]

KILL = Path(__file__).parent / "rollout/kill_at.py"
WISH = os.environ.get("ROLLOUT_KILLS", "").replace("all", "1/1")
KILLED, INTERRUPTED = -9, 130
# What Compose made is not noted yet; the old one drains, and the new one serves; one
# slot is done, and the second has both. All others die in memory, in
# tests/unit/rollout/test_killed.py.
OF_AN_UPDATE = ("create", "retire", "delay#2")
# The new one is proven, and the old one is there as well; the store is down.
OF_A_STORE = ("remove the old containers",)
# A signal that makes an update go back when one of its replicas is new already.
GO_BACK = "INT@start#2"
SERVES_AGAIN, CLEANS_UP = "the old container serves again", "put back"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutSite]:
    build_images()
    with rollout_site(tmp_path_factory.mktemp("kills"), monitor="1s") as site:
        yield site


@pytest.fixture
def load(site: RolloutSite) -> Iterator[Load]:
    """Return a load that has lost nothing when the test is over."""
    with Load("127.0.0.1", site.port) as load:
        yield load
    assert load.failures == []


def run(
    site: RolloutSite, signals: str, tag: str, service: str = "app", *, code: int
) -> list[str]:
    """Run an update that gets signals; require its end, return its boundaries."""
    notes = site.scenario.root / "boundaries"
    notes.write_text("")
    words = ("rolling-update", "--service", service, "--image", image(tag))
    done = subprocess.run(
        [sys.executable, str(KILL), signals, *words],
        cwd=site.scenario.root,
        env=site.scenario.environment({"BOUNDARIES": str(notes)}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, f"{signals}\n{done.stdout}\n{done.stderr}"
    return notes.read_text().splitlines()


def killed(site: RolloutSite, signals: str, tag: str, service: str = "app") -> None:
    """Run an update that is killed; it leaves a journal, and no secret."""
    run(site, signals, tag, service, code=KILLED)
    assert list(site.scenario.root.glob(".compose-ops/*/*/journal/update.json")), (
        signals
    )
    site.assert_discreet()


def other(site: RolloutSite, service: str = "app") -> str:
    """Return the tag of the version that the service does not run."""
    running = {c["Image"] for c in site.replicas(service)}
    return "v1" if running == {image_id("v2")} else "v2"


def part(every: Sequence[str]) -> Sequence[str]:
    """Return that part of all boundaries that is wished for."""
    number, _, parts = WISH.partition("/")
    return every[int(number) - 1 :: int(parts)]


def beginning(noted: Sequence[str]) -> list[str]:
    """Return what was noted before the update proper began."""
    return list(takewhile(lambda step: step not in {"create", "delay"}, noted))


def test_whatever_boundary_it_dies_at_the_next_run_converges(
    site: RolloutSite, load: Load
) -> None:
    """Two healthy replicas of what was asked for, no leftover, no request lost."""
    boundaries: Sequence[str] = OF_AN_UPDATE
    if WISH:
        boundaries = part(run(site, "-", other(site), code=0))
    for boundary in boundaries:
        tag = other(site)
        killed(site, f"KILL@{boundary}", tag)
        converges(site, tag, load, boundary)


def test_one_that_dies_while_it_goes_back_is_put_right(
    site: RolloutSite, load: Load
) -> None:
    """One replica was new already; the run that cleans up is killed as well."""
    deaths: Sequence[tuple[str, str]] = [(SERVES_AGAIN, CLEANS_UP)]
    if WISH:
        noted = run(site, GO_BACK, other(site), code=INTERRUPTED)
        back = part(noted[noted.index("start#2") + 1 :])
        killed(site, f"{GO_BACK},KILL@{SERVES_AGAIN}", tag := other(site))
        cleaning = part(beginning(run(site, "-", tag, code=0)))
        deaths = [(one, CLEANS_UP) for one in back]
        deaths += [(SERVES_AGAIN, one) for one in cleaning]
    for boundary, second in deaths:
        tag = other(site)
        killed(site, f"{GO_BACK},KILL@{boundary}", tag)
        killed(site, f"KILL@{second}", tag)
        converges(site, tag, load, boundary)


def test_a_store_whose_update_dies_is_there_once_with_its_data(
    site: RolloutSite,
) -> None:
    """Stop-first, killed once the new one is proven."""
    [old] = site.replicas("store")
    docker("exec", old["Id"], "sh", "-c", "echo kept >/data/kept")
    boundaries: Sequence[str] = OF_A_STORE
    if WISH:
        boundaries = part(run(site, "-", other(site, "store"), "store", code=0))
    for boundary in boundaries:
        tag = other(site, "store")
        killed(site, f"KILL@{boundary}", tag, "store")
        store_converges(site, tag, old["Name"], boundary)


def test_a_store_whose_return_dies_is_there_once_with_its_data(
    site: RolloutSite,
) -> None:
    """It was down, and the run that brings it back is killed as well."""
    [old] = site.replicas("store")
    docker("exec", old["Id"], "sh", "-c", "echo kept >/data/kept")
    first, boundaries = "KILL@create", [SERVES_AGAIN]
    if WISH:
        killed(site, first, tag := other(site, "store"), "store")
        cleaning = beginning(run(site, "-", tag, "store", code=0))
        boundaries = list(part(cleaning))
    for boundary in boundaries:
        tag = other(site, "store")
        killed(site, first, tag, "store")
        killed(site, f"KILL@{boundary}", tag, "store")
        store_converges(site, tag, old["Name"], boundary)


def converges(site: RolloutSite, tag: str, load: Load, boundary: str) -> None:
    site.update("--image", image(tag))
    assert site.images() == {image_id(tag)}, boundary
    site.assert_whole()
    assert load.failures == [], boundary


def store_converges(site: RolloutSite, tag: str, name: str, boundary: str) -> None:
    site.update("--image", image(tag), service="store")
    found = site.replicas("store")
    assert [(c["Name"], c["Image"]) for c in found] == [(name, image_id(tag))], boundary
    assert docker("exec", found[0]["Id"], "cat", "/data/kept") == "kept\n", boundary
    assert not list(site.scenario.root.glob(".compose-ops/*/*/journal/update.json"))
