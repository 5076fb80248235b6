"""Subnets that others hold are moved to where nobody is."""

from ipaddress import IPv4Network
from typing import Any

from fakes import container, network
from judging import STACK, judge

from compose_ops.docker.api import Container, Network
from compose_ops.doctor.facts.network import Route, ours, running
from compose_ops.doctor.facts.settings import Settings
from compose_ops.project.model import Model
from compose_ops.verdicts import Row

IN_FORCE = {
    "DATA_SUBNET": "10.9.1.0/24",
    "BACKEND_SUBNET": "10.100.1.0/24",
    "EDGE_PREFIX": "10.9.2",
    "WIDE_SUBNET": "10.40.0.0/16",
}
SUBNETS = {
    "data": "10.9.1.0/24",
    "backend": "10.100.1.0/24",
    "edge": "10.9.2.0/29",
    "wide": "10.40.0.0/16",
}
MODEL = Model(
    {
        "name": "trial",
        "networks": {
            key: {"ipam": {"config": [{"subnet": subnet}]}}
            for key, subnet in SUBNETS.items()
        },
    }
)
SETTINGS = Settings(IN_FORCE, {}, {}, in_force=IN_FORCE)


def subnets_free(there: Network, *users: Container) -> Row:
    facts: dict[str, Any] = {"networks": (there,), "all_containers": users}
    return judge("subnets-free", stack=STACK, model=MODEL, settings=SETTINGS, **facts)


def values(row: Row) -> list[str]:
    return [v.repair.split("|")[2] for v in row.problems]


def test_network_that_nobody_uses_is_removed() -> None:
    row = subnets_free(network("other", "10.9.1.0/25"))

    assert row.repair == "docker network rm other"


def test_subnet_moves_away_from_a_network_in_use() -> None:
    """Neither into another network's range nor into one of the model's own."""
    user = container("web", project="another", networks={"other": {}})
    row = subnets_free(network("other", "10.9.1.0/25"), user)

    assert values(row) == ["DATA_SUBNET=10.100.0.0/24"]


def test_two_subnets_do_not_move_to_one_place() -> None:
    user = container("web", project="another", networks={"other": {}})
    row = subnets_free(network("other", "10.9.0.0/16"), user)

    assert values(row) == ["DATA_SUBNET=10.100.0.0/24", "EDGE_PREFIX=10.100.2"]


def test_subnet_moves_out_of_a_routes_range_and_not_into_a_network() -> None:
    row = judge(
        "routes-free",
        model=MODEL,
        networks=(network("other", "10.101.0.0/16"),),
        routes=(Route(IPv4Network("10.40.0.0/16"), "tun0"),),
        settings=SETTINGS,
    )

    assert values(row) == ["WIDE_SUBNET=10.102.0.0/16"]


def test_container_of_one_command_is_no_service() -> None:
    """`docker compose run` leaves a container beside the service's own."""
    label = {"com.docker.compose.oneoff": "True"}
    single = container("app", state="exited", labels=label)

    assert ours(STACK, (container("app"), single)) == (container("app"),)
    assert running(STACK, (container("questdb"), single)) == {"questdb"}
