"""What other tasks leave to the rolling update, and refuse to do behind its back."""

from pathlib import Path
from typing import Any

import pytest
from composing import APP, PROJECT, Composing, opened
from fakes import network

from compose_ops.doctor import requirements
from compose_ops.errors import ConfigurationError, EngineError
from compose_ops.rollout import delegation
from compose_ops.stack.restart import restart
from compose_ops.stack.up import up

SERVED = {
    "labels": {
        "compose-ops.rollout.gateway": "gateway",
        "compose-ops.rollout.network": "app",
        "compose-ops.rollout.port": "8000",
    }
}


@pytest.fixture(autouse=True)
def _without_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "require", lambda *_args, **_how: None)


@pytest.fixture
def engine() -> Composing:
    """Return an engine on which the app, its gateway and a store run, each its own."""
    app = {key: value for key, value in APP.items() if key != "build"}
    services: dict[str, Any] = {"app": app | SERVED}
    engine = Composing(services | {n: {"image": n} for n in ("gateway", "store")})
    engine.run_all()
    for number, name in enumerate(("app", "gateway", "store")):
        subnet = f"10.0.{number}.0/24"
        engine.subnets[name] = subnet
        engine.nets.append(network(f"{PROJECT}_{name}", subnet, project=PROJECT))
        for container in [c for c in engine.there if c.service == name]:
            engine.connect(f"{PROJECT}_{name}", container.id)
    return engine


@pytest.mark.parametrize("changed", ["app", "gateway"])
@pytest.mark.parametrize("dry", [False, True])
def test_up_does_not_cut_what_is_served(
    engine: Composing, tmp_path: Path, changed: str, *, dry: bool
) -> None:
    """Another subnet for the replicas or their gateway is refused, and nothing goes."""
    engine.subnets[changed] = "10.1.0.0/24"
    before = list(engine.there)
    stack = opened(tmp_path, engine)
    stack.dry = dry

    with pytest.raises(ConfigurationError, match=f"{PROJECT}_{changed}") as refused:
        up(stack)

    assert "invoke down" in refused.value.hint
    assert engine.there == before


def test_up_recreates_a_network_that_serves_nobody(
    engine: Composing, tmp_path: Path
) -> None:
    """A store's own network goes with the store, and the replicas stay."""
    engine.subnets["store"] = "10.1.0.0/24"
    replicas = [c.id for c in engine.there if c.service == "app"]

    up(opened(tmp_path, engine))

    assert [c.id for c in engine.there if c.service == "app"] == replicas
    assert ("remove_network", f"{PROJECT}_store") in engine.done


BUILT = {"build": {"context": "."}}


@pytest.mark.parametrize(
    "services",
    [
        {"store": BUILT},
        {"store": {"image": "store:2"}},
        {"app": BUILT},
        {"new": {"image": "new:1"}},
    ],
    ids=["its build", "its pull", "another service's build", "another's pull"],
)
def test_an_image_that_cannot_be_made_leaves_all_running_on_its_network(
    engine: Composing,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    services: dict[str, Any],
) -> None:
    """Images come before the first change: there is no way back to a removed one."""
    engine.subnets["store"] = "10.1.0.0/24"
    more = {name: {"image": name} for name in services}
    engine.services = more | dict(engine.services)
    for name, keys in services.items():
        engine.services[name] = {**engine.services[name], **keys}
    before, done = list(engine.there), list(engine.done)

    def fail(*_words: object, **_how: object) -> None:
        raise EngineError("no space left on device")

    monkeypatch.setattr(Composing, "build", fail)
    monkeypatch.setattr(Composing, "pull", fail)
    with pytest.raises(EngineError, match="no space left"):
        up(opened(tmp_path, engine))

    assert engine.there == before
    assert engine.done == done


def test_an_image_that_is_absent_is_pulled_before_its_network_goes(
    engine: Composing, tmp_path: Path
) -> None:
    engine.subnets["store"] = "10.1.0.0/24"
    engine.services = {**engine.services, "store": {"image": "store:2"}}

    up(opened(tmp_path, engine))

    assert engine.tags["store:2"] == "sha256:store:2-pulled"
    assert ("remove_network", f"{PROJECT}_store") in engine.done


def test_another_stage_may_take_everything_away(
    engine: Composing, tmp_path: Path
) -> None:
    """From development to production there is no way without a gap."""
    engine.subnets["app"] = "10.1.0.0/24"

    up(opened(tmp_path, engine, started_as="dev"))

    assert ("remove_network", f"{PROJECT}_app") in engine.done


@pytest.mark.parametrize(
    ("named", "restarted"), [([], {"store"}), (["gateway"], {"gateway"})]
)
def test_a_restart_of_everything_leaves_the_gateway_alone(
    engine: Composing,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: list[str],
    restarted: set[str],
) -> None:
    """Nobody would be served meanwhile; who names it wants just that."""
    rolled = []
    monkeypatch.setattr(
        delegation, "perform", lambda _stack, name, *_, **__: rolled.append(name)
    )

    restart(opened(tmp_path, engine), named)

    [ids] = [call[1] for call in engine.done if call[0] == "restart"]
    assert {c.service for c in engine.there if c.id in ids} == restarted
    assert rolled == ([] if named else ["app"])


def test_up_leaves_alone_what_it_has_just_updated(tmp_path: Path) -> None:
    """A container that took over from its predecessor has not its name by Compose."""
    deploy = {"update_config": {"monitor": "0s"}}
    store = {"image": "store", "container_name": "trial-store", "deploy": deploy}
    engine = Composing({"store": store})
    engine.run_all()
    engine.services = {"store": store | {"command": "another"}}

    up(opened(tmp_path, engine))
    up(opened(tmp_path, engine))

    assert [c.name for c in engine.there] == ["trial-store"]
    assert [call for call in engine.done if call[0] == "recreate"] == []
