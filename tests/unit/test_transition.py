"""From one mode to another: what must go, what is refused."""

from pathlib import Path
from typing import Any, cast

import pytest
from composing import Composing, opened
from fakes import FakeEngine, container, network, volume

from compose_ops.docker.api import Container, Engine
from compose_ops.doctor import requirements
from compose_ops.errors import ConfigurationError, EngineError
from compose_ops.project.model import Model
from compose_ops.project.modes import Mode
from compose_ops.runtime import reconcile
from compose_ops.stack.up import up

PROJECT = "trial"


def model(subnet: str = "10.9.1.0/24", **volumes: Any) -> Model:
    return Model(
        {
            "name": PROJECT,
            "services": {"app": {}},
            "networks": {"backend": {"ipam": {"config": [{"subnet": subnet}]}}},
            "volumes": volumes or {"data": {"name": "trial_data"}},
        }
    )


def test_same_network_stays() -> None:
    """Nothing changed, nothing goes."""
    found = reconcile.plan(
        model(),
        [container("app", networks={"trial_backend": ""})],
        [network("trial_backend", "10.9.1.0/24", project=PROJECT)],
        [volume("trial_data")],
    )

    assert found.steps() == []


@pytest.mark.parametrize("wanted", [{}, {"ipam": {}}, {"ipam": {"config": []}}])
def test_network_whose_addresses_the_engine_chose_stays(wanted: dict[str, Any]) -> None:
    """As every project's default network; it is not recreated for them."""
    raw = {"name": PROJECT, "services": {"app": {}}, "networks": {"backend": wanted}}
    there = network("trial_backend", "172.19.0.0/16", project=PROJECT)

    found = reconcile.plan(Model(raw), [container("app")], [there], [])

    assert found.steps() == []


BLOCK = {"subnet": "10.9.1.0/24", "gateway": "10.9.1.7", "ip_range": "10.9.1.128/25"}
SEEN = {"Subnet": "10.9.1.0/24", "Gateway": "10.9.1.7", "IPRange": "10.9.1.128/25"}
AS_STATED: dict[str, Any] = {
    "driver": "bridge",
    "attachable": True,
    "enable_ipv6": True,
    "ipam": {"config": [BLOCK]},
    "labels": {"team": "shop"},
}


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({}, 0),
        ({"labels": {"team": "other"}}, 0),
        ({"driver": None}, 0),
        ({"driver": "overlay"}, 1),
        ({"attachable": False}, 1),
        ({"enable_ipv6": False}, 1),
        ({"ipam": {"config": [BLOCK | {"gateway": "10.9.1.8"}]}}, 1),
        ({"ipam": {"config": [BLOCK | {"ip_range": None}]}}, 0),
        ({"ipam": {"config": [BLOCK, {"subnet": "10.9.3.0/24"}]}}, 1),
    ],
)
def test_every_stated_property_of_a_network_counts(
    change: dict[str, Any], count: int
) -> None:
    raw = {
        "Driver": "bridge",
        "Attachable": True,
        "EnableIPv6": True,
        "IPAM": {"Config": [SEEN]},
    }
    there = network("trial_backend", "10.9.1.0/24", project=PROJECT, raw=raw)
    wanted = {"backend": AS_STATED | change}
    stated = Model({"name": PROJECT, "services": {"app": {}}, "networks": wanted})

    assert len(reconcile.plan(stated, [], [there], []).networks) == count


def test_changed_network_goes_with_its_containers() -> None:
    """Compose would keep the old network silently; its containers hold it."""
    engine = FakeEngine()
    app = container("app", networks={"trial_backend": ""})
    old = network("trial_backend", "10.9.2.0/24", project=PROJECT)

    change = reconcile.plan(model(), [app], [old], [])
    reconcile.execute(change, cast("Engine", engine))

    assert change.services == ("app",)
    assert engine.done == [
        ("stop", (app.id,), None),
        ("disconnect", old.id, app.id),
        ("remove_network", old.id),
    ]


def test_container_on_a_changed_network_is_not_removed() -> None:
    """Compose recreates it and carries its anonymous volumes over."""
    app = container("app", networks={"trial_backend": ""})
    old = network("trial_backend", "10.9.2.0/24", project=PROJECT)

    change = reconcile.plan(model(), [app], [old], [])

    assert change.orphans == ()
    assert change.steps() == [
        "recreate container trial-app",
        "recreate network trial_backend: its definition changed",
    ]


@pytest.mark.parametrize(
    "other",
    [
        container("probe", project="elsewhere", networks={"trial_backend": ""}),
        container(
            "app",
            networks={"trial_backend": ""},
            labels={"com.docker.compose.oneoff": "True"},
        ),
    ],
    ids=["another project", "compose run"],
)
def test_network_that_somebody_else_holds_is_refused_first(other: Container) -> None:
    old = network("trial_backend", "10.9.2.0/24", project=PROJECT)

    with pytest.raises(ConfigurationError, match=other.name):
        reconcile.plan(model(), [container("app"), other], [old], [])


def test_containers_run_again_where_a_network_cannot_go() -> None:
    """A container of somebody else that holds it keeps the network there."""
    app = container("app", networks={"trial_backend": ""})
    idle = container("lab", state="exited", networks={"trial_backend": ""})
    old = network("trial_backend", "10.9.2.0/24", project=PROJECT)

    class Held(FakeEngine):
        def remove_network(self, name: str) -> None:
            raise EngineError(f"network {name} has active endpoints")

        def start(self, *names: str) -> None:
            self.done.append(("start", names))

    engine = Held([app, idle])
    engine.nets = [old]
    change = reconcile.plan(model(), [app, idle], [old], [])

    with pytest.raises(EngineError, match="active endpoints"):
        reconcile.execute(change, cast("Engine", engine))

    assert engine.done[-1] == ("start", (app.id,))
    assert not [step for step in engine.done if step[0] == "remove"]


def test_service_that_the_mode_lacks_is_removed() -> None:
    """A development service does not live on in production."""
    lab = container("lab")

    found = reconcile.plan(model(), [lab], [], [])

    assert found.steps() == ["remove container trial-lab: no service has it"]


def test_volume_that_moves_is_refused_with_the_way_over() -> None:
    """A volume cannot change its place under its data."""
    with pytest.raises(ConfigurationError, match="trial_data") as refused:
        reconcile.plan(
            model(data={"name": "trial_data", "driver_opts": {"device": "/data"}}),
            [],
            [],
            [volume("trial_data")],
        )

    assert "invoke backup" in refused.value.hint


def test_volume_of_somebody_else_is_left_alone() -> None:
    """Only volumes of the model are compared."""
    assert reconcile.plan(model(), [], [], [volume("other", device="/x")]).steps() == []


def test_container_of_an_inactive_profile_stays() -> None:
    """Only what no profile has is an orphan."""
    there = [container("app"), container("tool"), container("gone")]

    change = reconcile.plan(model(), there, [], [], profiled=lambda: {"app", "tool"})

    assert [c.service for c in change.orphans] == ["gone"]


@pytest.mark.parametrize(
    ("started", "removed"),
    [
        (Mode(("dev",)), True),
        (Mode(), True),
        (Mode(("prod",)), False),
        (Mode(("prod",), gpu=True), False),
        (Mode(("dev",), has_other_files=True), False),
    ],
    ids=str,
)
def test_orphans_are_named_and_go_unasked_with_another_named_mode_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    started: Mode,
    removed: bool,
) -> None:
    """Other files, or another choice of a GPU, tell nothing of what is wanted."""
    monkeypatch.setattr(requirements, "require", lambda *_args, **_how: None)
    engine = Composing({"app": {"image": "app"}})
    engine.run_all()
    engine.there.append(container("tool"))
    stack = opened(tmp_path, engine)
    stack.started_as = started

    up(stack)

    assert (("remove", ("id-tool",), True) in engine.done) is removed
    assert "trial-tool" in capsys.readouterr().err
