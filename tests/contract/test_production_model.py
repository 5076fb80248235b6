"""What production's merged model promises, on real images and on stand-ins."""

from functools import cache
from typing import Any

import pytest
from compose_models import rendered
from guide_coverage import load_table
from repository import CONFIG, ROOT, own_mode

from compose_ops.project.model import Model
from compose_ops.project.modes import Mode
from compose_ops.rollout import callers
from compose_ops.rollout.policy import policy, traffic

MODES = (own_mode("prod"), own_mode("prod", offline=True))

each_mode = pytest.mark.parametrize("mode", MODES, ids=str)
pytestmark = pytest.mark.compose


@cache
def model(mode: Mode) -> dict[str, Any]:
    return rendered([*map(str, mode.files)], root=ROOT)


@each_mode
def test_only_the_gateway_publishes(mode: Mode) -> None:
    """No service but the gateway asks for a port of the host, and it for one."""
    services = model(mode)["services"]
    publishing = {n: s["ports"] for n, s in services.items() if s.get("ports")}

    assert list(publishing) == ["gateway"]
    assert [p["target"] for p in publishing["gateway"]] == [8000]


@each_mode
def test_the_gateway_is_alone_on_the_network_that_it_publishes_on(mode: Mode) -> None:
    """It shares one internal network with the app and one with nobody."""
    found = model(mode)
    members = {
        key: {n for n, s in found["services"].items() if key in (s["networks"] or {})}
        for key in found["services"]["gateway"]["networks"]
    }

    assert members == {
        "gateway_network": {"app", "gateway"},
        "edge_gateway": {"gateway"},
    }
    assert found["networks"]["gateway_network"]["internal"] is True


@each_mode
def test_nobody_reaches_the_app_past_its_gateway(mode: Mode) -> None:
    """An update would be refused: on other networks replicas are not proven yet."""
    found = Model(model(mode))
    settings = traffic(found.service("app"))

    assert settings is not None
    callers.require_none(found, "app", settings)


@each_mode
def test_each_service_sees_its_own_certificates(mode: Mode) -> None:
    """No service mounts the folder of another, and only servers see a key."""
    mounted = {
        (name, volume["source"].removeprefix("/project/"), volume.get("read_only"))
        for name, service in model(mode)["services"].items()
        for volume in service.get("volumes") or ()
        if volume["target"] == "/certs"
    }

    made = CONFIG.init.certificates
    servers = {(name, f"{made.folder}/{name}", True) for name in made.servers}
    assert mounted == servers | {("app", "certs/app", True)}
    assert made.client == "app/ca.pem"


@each_mode
def test_production_sets_eventstore_secure_itself(mode: Mode) -> None:
    """The example's EVENTSTORE_INSECURE=true does not reach production."""
    found = rendered([*map(str, mode.files)], root=ROOT, env_file=".env.example")

    assert found["services"]["eventstore"]["environment"]["EVENTSTORE_INSECURE"] == (
        "false"
    )


@each_mode
def test_every_log_rotates(mode: Mode) -> None:
    """No service writes a log without end."""
    for name, service in model(mode)["services"].items():
        options = service.get("logging", {}).get("options", {})
        assert {"max-size", "max-file"} <= options.keys(), name


@each_mode
def test_the_monitor_window_can_prove_a_failure(mode: Mode) -> None:
    """What dies after 8 s never gets a request; two replicas take a minute at most."""
    app = model(mode)["services"]["app"]
    found = policy(app, 2)

    assert found.monitor / 2 > 8
    assert 2 * found.monitor + found.delay < 50
    assert (found.parallelism, found.delay, found.order) == (1, 10.0, "start-first")
    assert (found.failure_action, found.max_failure_ratio) == ("rollback", 0.0)
    assert traffic(app) is not None


def test_the_guide_gives_no_database_a_password() -> None:
    """Its secrets are the app's alone."""
    secrets = {row.path for row in load_table() if ".secrets[" in row.path}

    assert secrets
    assert all(path.startswith("services.app.") for path in secrets)
