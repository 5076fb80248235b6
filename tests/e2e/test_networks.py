"""Who reaches whom in the development stack: host, neighbour, services, the outside."""

import json
import socket
from collections.abc import Iterator

import pytest
from e2e_scenario import Scenario, docker
from neighbour import CONNECT_ALL, Neighbour, neighbour

pytestmark = pytest.mark.docker

PUBLISHED = {
    "memgraph": (7687, 7444),
    "questdb": (9000, 8812, 9009),
    "eventstore": (2113, 1113),
    "ray-head": (6379, 8265, 10001),
    "app": (8000, 5678),
    "lab": (3000,),
}
DATA_SERVICES = ("memgraph", "questdb", "eventstore", "ray-head", "lab")
# The guide's networks, with the one that app and QuestDB need in common.
TOGETHER = {
    frozenset(pair)
    for pair in (
        ("memgraph", "eventstore"),
        ("memgraph", "questdb"),
        ("memgraph", "ray-head"),
        ("memgraph", "app"),
        ("memgraph", "lab"),
        ("questdb", "eventstore"),
        ("questdb", "app"),
        ("questdb", "lab"),
        ("eventstore", "ray-head"),
        ("eventstore", "app"),
        ("eventstore", "lab"),
        ("ray-head", "app"),
        ("app", "lab"),
    )
}


@pytest.fixture(scope="module")
def next_machine() -> Iterator[Neighbour]:
    with neighbour() as made:
        yield made


def addresses(stack: Scenario, service: str) -> list[str]:
    networks = stack.container(service)["NetworkSettings"]["Networks"]
    return [network["IPAddress"] for network in networks.values()]


def connects(
    stack: Scenario, source: str, targets: list[tuple[str, int]]
) -> list[bool]:
    """Return for each target whether *source*'s container reaches it."""
    words = ("python3", "-c", CONNECT_ALL, json.dumps(targets))
    found: list[bool] = json.loads(stack.execute(source, *words))
    return found


def test_host_reaches_every_published_port(dev_stack: Scenario) -> None:
    """What the guide publishes answers on the loopback address."""
    for service, ports in PUBLISHED.items():
        for port in ports:
            host, published = dev_stack.published(service, port)
            assert host == "127.0.0.1"
            socket.create_connection((host, published), 5).close()


def test_guides_pairs_stay_together_and_apart(dev_stack: Scenario) -> None:
    """A service reaches another exactly when the guide gives them a network."""
    wrong = []
    for source in PUBLISHED:
        others = [
            (target, (address, PUBLISHED[target][0]))
            for target in PUBLISHED
            if target != source
            for address in addresses(dev_stack, target)
        ]
        answers = connects(dev_stack, source, [address for _, address in others])
        pairs = zip(others, answers, strict=True)
        reached = {target for (target, _), answer in pairs if answer}
        expected = {t for t in PUBLISHED if frozenset((source, t)) in TOGETHER}
        wrong += [f"{source} -> {t}" for t in reached ^ expected]

    assert wrong == []


@pytest.mark.upgrade
def test_neighbour_reaches_no_data_service(
    dev_stack: Scenario, next_machine: Neighbour
) -> None:
    """Neither by the container's own address nor by the port on the host."""
    targets = []
    for service in DATA_SERVICES:
        for address in addresses(dev_stack, service):
            next_machine.route(address)
            targets += [(address, port) for port in PUBLISHED[service]]
        targets += [
            (next_machine.host, dev_stack.published(service, port)[1])
            for port in PUBLISHED[service]
        ]

    assert not any(next_machine.reaches(targets))


@pytest.mark.upgrade
def test_neighbour_does_reach_an_ordinary_container(next_machine: Neighbour) -> None:
    """The neighbour's trick works where nothing closes it: the test above can fail."""
    image = "localhost/jimbot-base:bookworm"
    server = ("python", "-m", "http.server", "8000")
    name = docker("run", "-d", "--rm", "-p", "127.0.0.1:0:8000", image, *server).strip()
    try:
        template = "{{.NetworkSettings.IPAddress}}"
        address = docker("inspect", "-f", template, name).strip()
        docker("exec", name, "python", "-c", WAIT_FOR_SERVER)
        next_machine.route(address)

        assert next_machine.reaches([(address, 8000)]) == [True]
    finally:
        docker("rm", "--force", name)


WAIT_FOR_SERVER = """
import socket, time
end = time.monotonic() + 20
while time.monotonic() < end:
    try:
        socket.create_connection(("127.0.0.1", 8000), 1).close()
        break
    except OSError:
        time.sleep(0.05)
"""


@pytest.mark.upgrade
@pytest.mark.parametrize("service", DATA_SERVICES)
def test_data_services_packets_never_leave_the_host(
    dev_stack: Scenario, next_machine: Neighbour, service: str
) -> None:
    """Not even the first packet of a connection gets out."""
    with next_machine.listening() as port:
        before = next_machine.packets_received()

        assert connects(dev_stack, service, [(next_machine.address, port)]) == [False]
        assert next_machine.packets_received() == before


@pytest.mark.upgrade
def test_app_reaches_out(dev_stack: Scenario, next_machine: Neighbour) -> None:
    """The app calls services on the internet, so its packets do leave."""
    with next_machine.listening() as port:
        assert connects(dev_stack, "app", [(next_machine.address, port)]) == [True]
