"""Reading the merged model: dependencies, ports, patience."""

from typing import Any

import pytest

from compose_ops.errors import UsageError
from compose_ops.project.model import Model

CHECK = {"interval": "30s", "timeout": "10s", "retries": 3, "start_period": "40s"}
MODEL = Model(
    {
        "name": "trial",
        "services": {
            "db": {"healthcheck": CHECK},
            "api": {
                "depends_on": {"db": {"condition": "service_healthy"}},
                "healthcheck": {"interval": "1s", "timeout": "1s", "retries": 1},
                "ports": [
                    {"host_ip": "127.0.0.1", "published": "8000", "target": 8000}
                ],
                "deploy": {"replicas": 2},
            },
            "page": {"depends_on": {"api": {"condition": "service_started"}}},
        },
        "volumes": {"data": {"name": "trial_data"}, "more": None},
    }
)


def test_dependencies_reach_through_others() -> None:
    """A service brings along all that it needs, once each."""
    assert MODEL.dependencies(["page"]) == ("page", "api", "db")


def test_dependents_reach_through_others() -> None:
    """Stopping a store stops all that rests on it."""
    assert MODEL.dependents("db") == ("api", "page")


def test_patience_adds_up_along_the_longest_chain() -> None:
    """The stack may take as long as its checks, one level after the other."""
    assert MODEL.seconds_to_verdict("db") == 40 + 3 * (30 + 10) + 30
    assert MODEL.patience(["api"]) == 190 + (1 * (1 + 1) + 1)


def test_ports_are_numbers() -> None:
    """Compose prints the published port as text."""
    assert [(p.host, p.published, p.target) for p in MODEL.ports()] == [
        ("127.0.0.1", 8000, 8000)
    ]


def test_replicas_default_to_one() -> None:
    assert [MODEL.replicas(name) for name in ("api", "db")] == [2, 1]


def test_unknown_service_names_the_known_ones() -> None:
    """A typing error is answered with what there is."""
    with pytest.raises(UsageError, match="no service named 'dp'") as refused:
        MODEL.check_services(["dp"])

    assert refused.value.hint == "one of: db, api, page"


def test_volume_without_a_name_gets_the_projects() -> None:
    assert [MODEL.volume_name(key) for key in ("data", "more")] == [
        "trial_data",
        "trial_more",
    ]


def services(**found: Any) -> Model:
    return Model({"name": "trial", "services": found})


def test_job_is_a_service_that_others_wait_for_to_end() -> None:
    done = {"condition": "service_completed_successfully"}
    model = services(migrate={}, app={"depends_on": {"migrate": done}}, db={})

    assert model.jobs == {"migrate"}


def test_optional_dependency_of_an_inactive_profile_is_not_waited_for() -> None:
    absent = {"condition": "service_healthy", "required": False}
    model = services(app={"depends_on": {"tracing": absent, "db": {}}}, db={})

    assert model.dependencies(["app"]) == ("app", "db")
    assert model.patience(["app"]) > 0


@pytest.mark.parametrize(
    "service",
    [
        {"network_mode": "service:vpn"},
        {"pid": "service:vpn"},
        {"ipc": "service:vpn"},
        {"volumes_from": ["vpn:ro"]},
        {"network_mode": "container:tunnel"},
        {"volumes_from": ["container:tunnel:ro"]},
        {"depends_on": {"vpn": {"condition": "service_started", "restart": True}}},
    ],
    ids=["network", "pid", "ipc", "volumes", "container", "its-volumes", "restart"],
)
def test_service_in_the_namespace_of_another_follows_it(service: Any) -> None:
    model = services(
        vpn={"container_name": "tunnel"},
        client=service,
        deep={"pid": "service:client"},
        other={"network_mode": "container:elsewhere"},
        db={"depends_on": {}},
    )

    assert model.followers("vpn") == ("client", "deep")
    assert model.followers("db") == ()


def test_image_of_a_service_has_the_name_that_compose_gives_it() -> None:
    model = services(app={"build": {}}, db={"image": "postgres:16"})

    assert (model.image_name("app"), model.image_name("db")) == (
        "trial-app",
        "postgres:16",
    )


def test_limits_count_in_every_way_in_which_they_can_be_stated() -> None:
    old = {"mem_limit": "64", "mem_reservation": "32", "cpus": 0.5}
    new = {"limits": {"memory": "64", "cpus": "0.5"}, "reservations": {"memory": "32"}}
    model = Model({"services": {"old": old, "new": {"deploy": {"resources": new}}}})

    for name in ("old", "new"):
        assert [model.memory(name, k) for k in ("limits", "reservations")] == [64, 32]
        assert [model.cpus(name, k) for k in ("limits", "reservations")] == [0.5, 0]


def test_mounts_of_another_service_count_where_volumes_from_takes_them() -> None:
    """The owner of data may be a service that only declares it."""
    data = {"type": "volume", "source": "data", "target": "/data"}
    services = {
        "data": {"volumes": [data]},
        "db": {"volumes_from": ["data:ro", "container:elsewhere"]},
        "tool": {"volumes_from": ["db", "tool"]},
    }

    assert Model({"services": services}).mounts("tool") == (data,)
