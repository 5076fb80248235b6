"""`invoke up`, `status` and `down` on the real engine, in one checkout."""

import signal
from collections.abc import Callable, Iterator

import pytest
from e2e_scenario import Scenario, created, docker, end, service_of
from waiting import eventually

pytestmark = pytest.mark.docker

# Each test begins where the one before it ended, as on a person's machine.
QUESTDB = ("up", "--offline", "--service", "questdb")
EVENTSTORE = ("up", "--offline", "--service", "eventstore")
MEMGRAPH = ("up", "--offline", "--service", "memgraph")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a checkout in which nothing was started yet."""
    site = created(tmp_path_factory.mktemp("checkout"))
    try:
        yield site
    finally:
        site.remove()


def health(site: Scenario) -> dict[str, str]:
    """Return the health of each container by its service."""
    return {service_of(c): c["State"]["Health"]["Status"] for c in site.containers()}


def test_dry_run_plans_and_changes_nothing(site: Scenario) -> None:
    done = site.invoke(*QUESTDB, "--dry")

    assert "would start questdb" in done.stderr
    assert site.containers() == []
    assert docker("network", "ls", "-q", "-f", f"name={site.project}_") == ""


def test_taken_port_is_refused_before_anything_changes(site: Scenario) -> None:
    """The message names the container that holds the port."""
    image = "localhost/jimbot-base:bookworm"
    holder = docker(
        "run", "-d", "--init", "-p", "127.0.0.1:0:9000", image, "sleep", "600"
    ).strip()
    try:
        template = '{{(index (index .NetworkSettings.Ports "9000/tcp") 0).HostPort}}'
        port = docker("inspect", "-f", template, holder).strip()
        name = docker("inspect", "-f", "{{.Name}}", holder).strip().lstrip("/")
        site.set(QUESTDB_HTTP_PORT=port)

        done = site.invoke(*QUESTDB, code=3)
    finally:
        docker("rm", "--force", holder)
        site.set(QUESTDB_HTTP_PORT="0")

    assert f"used by the container {name}" in done.stderr
    assert site.containers() == []


def test_failing_service_is_shown_with_its_evidence(site: Scenario) -> None:
    """EventStore refuses to start without a certificate; `up` says so."""
    site.set(EVENTSTORE_INSECURE="false")

    done = site.invoke(*EVENTSTORE, code=6)

    site.set(EVENTSTORE_INSECURE="true")
    assert "error: eventstore" in done.stderr
    assert "certificate" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    site.invoke("down")


@pytest.mark.parametrize(
    ("words", "number"), [(EVENTSTORE, signal.SIGINT), (MEMGRAPH, signal.SIGKILL)]
)
def test_up_that_was_cut_off_is_carried_on_by_the_next(
    site: Scenario, words: tuple[str, ...], number: int
) -> None:
    """Ctrl-C or a kill while services start leaves a state that `up` accepts."""
    before = len(site.containers())
    process = site.begin(*words)
    eventually(lambda: len(site.containers()) > before, seconds=120)
    printed = end(process, number)

    assert process.returncode == (130 if number == signal.SIGINT else -number), printed
    assert "Traceback" not in printed
    site.invoke(*words)
    assert health(site)[words[-1]] == "healthy"


def test_stores_start_again_on_their_data(site: Scenario) -> None:
    """The second start finds a volume that belongs to the store's own user."""
    site.invoke(*QUESTDB)

    site.invoke("restart")

    stores = ("questdb", "memgraph", "eventstore")
    assert health(site) == dict.fromkeys(stores, "healthy")


def test_stopped_services_are_started_again(site: Scenario) -> None:
    """A container that had ended before is no failure of this `up`."""
    docker("kill", site.container("questdb")["Id"])

    site.invoke("up")

    assert health(site)["questdb"] == "healthy"


def test_changed_network_is_made_anew(site: Scenario) -> None:
    """Compose would keep the old subnet without a word."""
    before = site.container("questdb")["NetworkSettings"]["Networks"]
    values = dict(
        line.split("=", 1)
        for line in (site.root / ".env").read_text().splitlines()
        if "SUBNET=" in line
    )
    site.set(DATA_SUBNET=values["GATEWAY_SUBNET"])

    site.invoke("up")

    after = site.container("questdb")["NetworkSettings"]["Networks"]
    name = f"{site.project}_data_network"
    assert before[name]["IPAddress"] != after[name]["IPAddress"]
    prefix = values["GATEWAY_SUBNET"].rsplit(".", 1)[0]
    assert after[name]["IPAddress"].startswith(f"{prefix}.")


def test_two_checkouts_with_one_name_are_refused(
    site: Scenario, new_scenario: Callable[[], Scenario]
) -> None:
    """The second checkout would change the first one's containers."""
    other = new_scenario()
    other.set(COMPOSE_PROJECT_NAME=site.project)

    done = other.invoke(*QUESTDB, code=3)

    assert str(site.root) in done.stderr
    assert str(other.root) in done.stderr


def test_down_keeps_the_data_and_volumes_need_the_name(site: Scenario) -> None:
    site.invoke("down")
    volume = f"{site.project}_questdb_data"
    assert site.containers() == []
    assert docker("volume", "inspect", volume)

    site.invoke(*QUESTDB)
    refused = site.invoke("down", "--volumes", code=2)
    assert volume in refused.stderr
    assert site.container("questdb")["State"]["Running"]

    site.invoke("down", "--volumes", "--yes")
    assert docker("volume", "ls", "-q", "-f", f"name={site.project}_") == ""
