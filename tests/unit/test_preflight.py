"""What `up` checks first: ports, subnets, versions; all of it named at once."""

import socket

import pytest
from fakes import container, network, published

from jimbot_stack.errors import ConfigurationError
from jimbot_stack.model import Model, Port
from jimbot_stack.preflight import (
    Problem,
    numbers,
    port_problems,
    require,
    subnet_problems,
)


def wanted(port: int) -> list[Port]:
    return [Port("app", "127.0.0.1", port, 8000, "tcp")]


def test_port_of_another_container_is_named() -> None:
    other = container("web", project="other", published=published(8000))

    found = list(port_problems(wanted(8000), [other], "trial"))

    assert [problem.what for problem in found] == [
        "port 8000 of app is held by the container trial-web"
    ]


def test_own_containers_hold_their_ports() -> None:
    """A second `up` is no conflict with the first."""
    own = container("app", project="trial", published=published(8000))

    assert list(port_problems(wanted(8000), [own], "trial")) == []


def test_port_of_another_process_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        found = list(port_problems(wanted(port), [], "trial"))

    assert len(found) == 1
    assert "another process" in found[0].what


def test_ephemeral_port_is_never_taken() -> None:
    assert list(port_problems(wanted(0), [], "trial")) == []


def test_overlapping_subnet_is_named() -> None:
    model = Model(
        {
            "name": "trial",
            "networks": {"data": {"ipam": {"config": [{"subnet": "10.9.1.0/24"}]}}},
        }
    )
    other = network("lan", "10.9.0.0/16", project="other")
    own = network("trial_data", "10.9.1.0/24", project="trial")

    found = list(subnet_problems(model, [other, own], "trial"))

    assert len(found) == 1
    assert "lan" in found[0].what


def test_all_problems_are_reported_together() -> None:
    problems = [Problem("one", "mend one"), Problem("two", "mend two")]

    with pytest.raises(ConfigurationError) as refused:
        require(problems)

    assert "mend one" in str(refused.value)
    assert "mend two" in str(refused.value)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("26.1.5+dfsg1", (26, 1, 5)),
        ("v2.24.4", (2, 24, 4)),
        ("2.26.1-4", (2, 26, 1)),
        ("", ()),
    ],
)
def test_versions_compare_by_their_numbers(
    version: str, expected: tuple[int, ...]
) -> None:
    assert numbers(version) == expected
