"""A rolling update on a real engine, under a load that must not lose a request."""

import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from e2e_scenario import end
from open_load import Load
from rollout_site import (
    ROOT,
    RolloutSite,
    build_images,
    image,
    image_id,
    rollout_site,
)
from waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.slow]

# What a new replica is watched for; longer where a fault shows only after seconds.
QUICK, LONG = "2s", "8s"
# About once a second, so that a replica that goes has some under way.
SLOW_EVERY = 31
PRODUCTION = dict(
    re.findall(
        r"^ +(monitor|delay): (\w+)",
        (ROOT / "docker-compose.prod.yml").read_text(),
        re.MULTILINE,
    )
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutSite]:
    build_images()
    with rollout_site(tmp_path_factory.mktemp("rollout"), monitor=QUICK) as site:
        yield site


@pytest.fixture(scope="module")
def steady(site: RolloutSite) -> Iterator[Load]:
    """Return the load that runs through all of these tests, and on after them."""
    with Load("127.0.0.1", site.port, slow_every=SLOW_EVERY) as load:
        load.wait_until(100)
        yield load
    assert load.failures == []


@pytest.fixture
def load(steady: Load) -> Load:
    """
    Return the steady load, whose failures and versions are those of one test.

    What failed after the test before had looked, or in one that did not, counts here.
    """
    steady.settle()
    unseen = list(steady.failures)
    steady.failures.clear()
    steady.versions.clear()
    assert unseen == []
    return steady


def _assert_both_versions_answered(outcome: Any) -> None:
    """Require the old one at the beginning, then both, the new one at the end."""
    seconds = outcome["recording"]["seconds"]
    told = [s["answers"] for s in seconds if s["answers"]]
    assert told[0]["old"] > 0
    assert told[0]["new"] == 0
    assert any(answers["old"] and answers["new"] for answers in told)
    late = told[-3:]
    assert sum(a["new"] for a in late) > sum(a["old"] for a in late)
    assert sum(s["requests"] for s in seconds) == outcome["proof"]["requests"]


def test_nothing_to_do_changes_nothing(site: RolloutSite) -> None:
    """What is as it should be keeps its containers."""
    before = [c["Id"] for c in site.replicas()]

    assert site.update()["result"] == "nothing-to-do"
    assert [c["Id"] for c in site.replicas()] == before


def test_both_replicas_are_updated_and_no_request_is_lost(
    site: RolloutSite, load: Load
) -> None:
    """With requests under way that take seconds; a second task meanwhile exits 9."""
    slow = load.slow
    update = ("rolling-update", "--service", "app")
    words = (*update, "--image", image("v2"), "--json")
    first = site.scenario.begin(*words)
    eventually(lambda: len(site.replicas()) > 2)
    second = site.scenario.invoke(*words, code=9)
    said = first.communicate(timeout=120)[0]
    outcome, _end = json.JSONDecoder().raw_decode(said, said.index("{"))
    load.settle()

    assert first.returncode == 0
    assert "invoke rolling-update" in second.stderr
    assert load.failures == []
    assert load.versions == {"1", "2"}
    assert load.slow > slow + 2
    assert_updated(outcome, cause="image")
    assert site.images() == {image_id("v2")}
    _assert_both_versions_answered(outcome)
    assert site.update("--image", image("v2"))["result"] == "nothing-to-do"
    site.assert_whole()


def assert_updated(outcome: dict[str, Any], *, cause: str) -> None:
    """Both replicas are new for one cause, and the proof was asked for all along."""
    assert outcome["result"] == "updated"
    assert [s["causes"][0].split()[0] for s in outcome["plan"]] == [cause] * 2
    assert outcome["proof"]["failed"] == 0
    recorded = outcome["recording"]["seconds"]
    assert all(second["requests"] for second in recorded[:-1])
    assert outcome["proof"]["requests"] > 50 * recorded[-1]["at"]


def test_a_rollback_returns_to_the_version_before(
    site: RolloutSite, load: Load
) -> None:
    """Under its kept tag; later tasks keep it and say so."""
    assert json.loads(site.page())["version"] == "2"

    site.scenario.invoke("rollback", "--service", "app")
    assert site.images() == {image_id("v1")}
    said = site.scenario.invoke("up").stderr
    load.settle()

    assert load.failures == []
    assert load.versions == {"1", "2"}
    assert site.images() == {image_id("v1")}
    assert "app stays on" in said
    site.assert_whole()


def test_an_upload_that_lasts_is_cut_and_counted(site: RolloutSite, load: Load) -> None:
    """After the drain timeout; no other request is lost for it, unless as long."""
    site.scenario.set(DRAIN_TIMEOUT="2s")
    ended = threading.Event()
    upload = threading.Thread(target=upload_slowly, args=(site.port, ended))
    upload.start()
    outcome = site.update()
    site.scenario.set(DRAIN_TIMEOUT="10s")
    upload.join(timeout=30)
    load.settle()

    assert ended.is_set()
    assert outcome["result"] == "updated"
    assert outcome["cut_connections"] >= 1
    assert outcome["proof"]["failed"] == 0
    # Some of the load takes 3 s, longer than may be drained here.
    assert len(load.failures) <= outcome["cut_connections"] - 1
    load.failures.clear()
    site.assert_whole()


def upload_slowly(port: int, ended: threading.Event) -> None:
    """Send one byte of a long body each second, until the connection ends."""
    with socket.create_connection(("127.0.0.1", port)) as upload:
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"
        upload.sendall(head)
        upload.settimeout(1)
        for _ in range(120):
            with suppress(TimeoutError):
                if not upload.recv(1000).startswith(b"HTTP/1.1 2"):
                    ended.set()
                    return
            upload.sendall(b"x")


@pytest.mark.parametrize(
    ("bad", "sign", "monitor"),
    [
        ("sick", "healthy", QUICK),
        ("dies", "this version dies", LONG),
        ("dies-late", "this version dies", PRODUCTION["monitor"]),
        ("flaky", "500", QUICK),
    ],
)
def test_a_bad_version_is_stopped_before_admission(
    site: RolloutSite, load: Load, bad: str, sign: str, monitor: str
) -> None:
    """It gets no request, the old containers serve on, and the exit code is 8."""
    site.scenario.set(MONITOR=monitor)
    before = [c["Id"] for c in site.replicas()]

    failed = site.update("--image", image(bad), "--timeout", "6", code=8)
    load.settle()

    assert load.failures == []
    assert load.versions == {"1"}
    assert sign in failed["error"] + failed["detail"]
    assert failed["proof"]["failed"] == 0
    assert [c["Id"] for c in site.replicas()] == before
    site.assert_whole()


def test_a_version_that_turns_bad_after_admission_goes(
    site: RolloutSite, load: Load
) -> None:
    """Its failures are counted and reported, and the old version is back."""
    site.scenario.set(MONITOR=LONG)
    failed = site.update("--image", image("turns"), code=8)
    eventually(lambda: json.loads(site.page())["version"] == "1")
    lost = len(load.failures)
    load.wait_until(load.sent + 500)
    load.settle()

    assert failed["proof"]["failed"] > 0
    assert lost > 0
    assert len(load.failures) - lost <= 5
    load.failures.clear()  # the one test that loses some
    assert site.images() == {image_id("v1")}
    site.assert_whole()


def test_a_changed_setting_is_enough(site: RolloutSite, load: Load) -> None:
    """`up` hands the app to the rolling update; the image is as it was."""
    before = {c["Id"] for c in site.replicas()}
    site.scenario.set(SETTING="two", MONITOR=QUICK)

    site.scenario.invoke("up")
    load.settle()

    assert load.failures == []
    assert not before & {c["Id"] for c in site.replicas()}
    assert {"SETTING=two" in c["Config"]["Env"] for c in site.replicas()} == {True}
    site.assert_whole()


def test_ctrl_c_puts_the_old_version_back(site: RolloutSite, load: Load) -> None:
    """Exit code 130, and nothing is left over."""
    before = [c["Id"] for c in site.replicas()]
    task = site.scenario.begin(
        "rolling-update", "--service", "app", "--image", image("v2")
    )
    eventually(lambda: len(site.replicas()) > 2)
    end(task, signal.SIGINT)
    load.settle()

    assert task.returncode == 130
    assert load.failures == []
    assert [c["Id"] for c in site.replicas()] == before
    site.assert_whole()


def test_a_restart_never_replaces_all_replicas_at_once(
    site: RolloutSite, load: Load
) -> None:
    """It hands the app to the rolling update."""
    before = {c["Id"] for c in site.replicas()}

    site.scenario.invoke("restart", "--service", "app")
    load.settle()

    assert load.failures == []
    assert not before & {c["Id"] for c in site.replicas()}
    site.assert_whole()


@pytest.mark.upgrade
def test_two_replicas_take_a_minute_with_the_settings_of_production(
    site: RolloutSite, load: Load
) -> None:
    """
    What waits for nothing overlaps: the delay is spent on the next replica.

    On a clock in memory tests/unit/rollout/test_timing.py measures the same; only the
    engine's own speed can change this figure.
    """
    monitor, delay = PRODUCTION["monitor"], PRODUCTION["delay"]
    site.scenario.set(SETTING="minute", MONITOR=monitor, DELAY=delay)

    outcome = site.update()
    site.scenario.set(MONITOR=QUICK, DELAY="1s")
    load.settle()

    assert load.failures == []
    assert outcome["seconds"] <= 60
    site.assert_whole()
