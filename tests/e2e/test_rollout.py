"""A rolling update on a real engine, under a load that must not lose a request."""

import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from e2e_scenario import docker, end
from open_load import SHARE, Load, capacity
from rollout_site import (
    MOST,
    ROOT,
    RolloutSite,
    build_images,
    image,
    image_id,
    rollout_site,
)
from waiting import eventually

# Its load is a third of what the machine can serve: nothing else may use that.
pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.alone]

# What a new replica is watched for; longer where a fault shows only after seconds.
QUICK, LONG = "2s", "8s"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutSite]:
    build_images()
    with rollout_site(tmp_path_factory.mktemp("rollout"), monitor=QUICK) as site:
        yield site


@pytest.fixture(scope="module")
def most(site: RolloutSite) -> float:
    """Return how many requests a second the two replicas answer at most."""
    return capacity("127.0.0.1", site.port)


@pytest.fixture(scope="module")
def steady(site: RolloutSite, most: float) -> Iterator[Load]:
    """Return the load that runs through all of these tests."""
    with Load("127.0.0.1", site.port, rate=most * SHARE) as load:
        load.wait_until(100)
        yield load


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


def test_nothing_to_do_changes_nothing(site: RolloutSite) -> None:
    """What is as it should be keeps its containers."""
    before = [c["Id"] for c in site.replicas()]

    assert site.update()["result"] == "nothing-to-do"
    assert [c["Id"] for c in site.replicas()] == before


def test_both_replicas_are_updated_and_no_request_is_lost(
    site: RolloutSite, load: Load
) -> None:
    """There and back, with requests under way that take seconds."""
    slow = load.slow
    there = site.update("--image", image("v2"))
    assert site.images() == {image_id("v2")}
    back = site.update("--image", image("v1"))
    load.settle()

    assert load.failures == []
    assert load.versions == {"1", "2"}
    assert load.slow > slow + 5
    for outcome in (there, back):
        assert outcome["result"] == "updated"
        assert [slot["causes"][0][:5] for slot in outcome["plan"]] == ["image"] * 2
        assert outcome["proof"]["failed"] == 0
        assert outcome["proof"]["requests"] > 500
    assert site.images() == {image_id("v1")}
    assert site.update()["result"] == "nothing-to-do"
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
        ("sick", "not healthy", QUICK),
        ("dies", "this version dies", LONG),
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
    """Replicas are replaced for their configuration, with the image as it was."""
    site.scenario.set(SETTING="two", MONITOR=QUICK)

    outcome = site.update()
    load.settle()

    assert load.failures == []
    assert all(
        slot["causes"][0].startswith("configuration") for slot in outcome["plan"]
    )
    assert {"SETTING=two" in c["Config"]["Env"] for c in site.replicas()} == {True}
    site.assert_whole()


def test_two_updates_at_once_are_refused(site: RolloutSite, load: Load) -> None:
    """The second names the first, and exits 9."""
    words = ("rolling-update", "--service", "app", "--image", image("v2"))
    first = site.scenario.begin(*words)
    eventually(lambda: len(site.replicas()) > 2)
    second = site.scenario.invoke(*words, code=9)
    first.communicate(timeout=120)
    load.settle()

    assert load.failures == []
    assert "invoke rolling-update" in second.stderr
    assert first.returncode == 0
    site.assert_whole()


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
    assert site.images() == {image_id("v1")}
    assert "app stays on" in said
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


def test_tasks_never_replace_all_replicas_at_once(
    site: RolloutSite, load: Load
) -> None:
    """`restart` hands the app to the rolling update, and so does `up`."""
    before = {c["Id"] for c in site.replicas()}

    site.scenario.invoke("restart", "--service", "app")
    between = {c["Id"] for c in site.replicas()}
    site.scenario.set(SETTING="three")
    site.scenario.invoke("up")
    load.settle()

    assert load.failures == []
    assert not before & between
    assert {"SETTING=three" in c["Config"]["Env"] for c in site.replicas()} == {True}
    site.assert_whole()


def test_two_replicas_take_a_minute_with_the_settings_of_production(
    site: RolloutSite, load: Load
) -> None:
    """What waits for nothing overlaps: the delay is spent on the next replica."""
    config = (ROOT / "docker-compose.prod.yml").read_text()
    [monitor] = re.findall(r"monitor: (\w+)", config)
    [delay] = re.findall(r"delay: (\w+)", config)
    site.scenario.set(SETTING="minute", MONITOR=monitor, DELAY=delay)

    outcome = site.update()
    site.scenario.set(MONITOR=QUICK, DELAY="1s")
    load.settle()

    assert load.failures == []
    assert outcome["seconds"] <= 60
    site.assert_whole()


def test_that_was_ten_thousand_requests_at_a_third_of_capacity(
    load: Load, most: float
) -> None:
    """Those that the tests above have counted; then the load ends."""
    load.wait_until(10_000)
    load.stop()

    assert load.failures == []
    assert load.slow > 90
    assert 0.5 * MOST < most < MOST
    assert load.rate_sent / most == pytest.approx(SHARE, rel=0.05)


def test_a_store_keeps_its_data_and_returns_on_failure(site: RolloutSite) -> None:
    """Stop-first: the old container waits until the new one is proven."""
    old = site.replicas("store")[0]
    docker("exec", old["Id"], "sh", "-c", "echo executed >/data/executed")

    failed = site.update(
        "--image", image("sick"), "--timeout", "5", code=8, service="store"
    )
    assert [c["Id"] for c in site.replicas("store")] == [old["Id"]]
    assert site.replicas("store")[0]["Name"] == old["Name"]
    assert "not healthy" in failed["error"]

    site.update("--image", image("v2"), service="store")
    new = site.replicas("store")
    kept = docker("exec", new[0]["Id"], "cat", "/data/executed")

    assert [c["Name"] for c in new] == [old["Name"]]
    assert new[0]["Id"] != old["Id"]
    assert kept == "executed\n"
    assert site.update(service="store")["result"] == "nothing-to-do"


def test_state_files_are_private_and_hold_no_secret(site: RolloutSite) -> None:
    """Neither one of the checkout's secrets, nor what the app's environment has."""
    site.assert_discreet()


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
    _await_admission(site)
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
    _await_admission(site)


def _await_admission(site: RolloutSite) -> None:
    """Return when every replica is healthy and the gateway uses it."""
    eventually(lambda: all(_is_healthy(c) for c in site.replicas()))
    eventually(lambda: site.admitted() == site.addresses())


def _is_healthy(container: dict[str, Any]) -> bool:
    return bool(container["State"]["Health"]["Status"] == "healthy")


def _answers(site: RolloutSite) -> bool:
    try:
        return bool(json.loads(site.page())["version"])
    except OSError:
        return False
