"""A rolling update of every service, in dependency order."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from composing import UPDATED, Composing, opened, quick_clock
from served import quick_require

from compose_ops import interrupts
from compose_ops.cli.output import rollout
from compose_ops.errors import RolledBack, UsageError
from compose_ops.project.model import Model
from compose_ops.rollout import journal, update
from compose_ops.rollout.update_all import in_dependency_order, update_all

SERVICES: dict[str, dict[str, Any]] = {
    "web": {"image": "web", "depends_on": {"app": {}, "cache": {}}},
    "app": {"image": "app", "depends_on": {"store": {}}},
    "store": {"image": "store"},
    "cache": {"image": "cache"},
}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Composing:
    """Return an engine on which all run, and whose files then change."""
    quick_require(monkeypatch)
    monkeypatch.setattr(update, "CLOCK", quick_clock())
    deployed = {n: {**s, "deploy": UPDATED} for n, s in SERVICES.items()}
    engine = Composing(deployed)
    engine.run_all()
    changed = {n: {**s, "command": "another"} for n, s in deployed.items()}
    engine.services = {**changed, "cache": deployed["cache"]}
    return engine


def test_what_others_depend_on_goes_first(engine: Composing, tmp_path: Path) -> None:
    """What is up to date stays, and is said to be."""
    found = [(r.service, r.result) for r in update_all(opened(tmp_path, engine))]

    assert found == [
        ("store", "updated"),
        ("app", "updated"),
        ("cache", "nothing-to-do"),
        ("web", "updated"),
    ]


def test_the_first_failure_ends_it(
    engine: Composing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was updated before stays and is printed; the rest is not begun."""
    engine.bad.add("sha256:app-1")
    before = {c.service: c.id for c in engine.there}

    with pytest.raises(RolledBack, match="app was not updated"):
        rollout.run_all(update_all(opened(tmp_path, engine)), None)

    after = {c.service: c.id for c in engine.there}
    assert {n for n in after if after[n] != before[n]} == {"store"}
    assert "store: updated in" in capsys.readouterr().out


def test_output_that_nobody_takes_ends_no_update(
    engine: Composing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    rollout.run_all(update_all(opened(tmp_path, engine)), None)

    hashes = engine.config_hashes()
    assert {c.service: c.config_hash for c in engine.there} == hashes


def interrupt_as_the_old_one_goes(
    engine: Composing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a signal arrive when the first old container is removed."""
    remove, left = engine.remove, [signal.SIGTERM]

    def interrupted(*ids: str, **how: Any) -> None:
        while left:
            signal.raise_signal(left.pop())
        remove(*ids, **how)

    monkeypatch.setattr(engine, "remove", interrupted)


def test_a_signal_while_one_is_recorded_begins_no_other(
    engine: Composing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was proven by then stays."""
    interrupt_as_the_old_one_goes(engine, monkeypatch)
    before = {c.service: c.id for c in engine.there}
    results = update_all(opened(tmp_path, engine))

    with pytest.raises(KeyboardInterrupt), interrupts.handled():
        list(results)

    after = {c.service: c.id for c in engine.there}
    assert {n for n in after if after[n] != before[n]} == {"store"}
    assert journal.read(opened(tmp_path, engine).state) is None


def test_a_signal_while_one_is_recorded_leaves_no_follower_without_a_network(
    engine: Composing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = {"image": "side", "network_mode": "service:store"}
    engine.tags["side"] = "sha256:side-1"
    engine.services = {**engine.services, "side": side}
    engine.up(["side"])
    interrupt_as_the_old_one_goes(engine, monkeypatch)
    stack = opened(tmp_path, engine)

    with pytest.raises(KeyboardInterrupt), interrupts.handled():
        update.update(stack, "store", update.UpdateRequest())

    how = {"dependencies": False, "recreate": "always"}
    assert ("up", ("side",), how) in engine.done


def test_the_json_holds_what_was_done(engine: Composing, tmp_path: Path) -> None:
    printed: list[Any] = []

    rollout.run_all(update_all(opened(tmp_path, engine)), printed.append)

    [results] = printed
    assert [r["service"] for r in json.loads(json.dumps(results))] == [
        "store",
        "app",
        "cache",
        "web",
    ]


def test_a_service_that_does_not_run_is_left_alone(
    engine: Composing, tmp_path: Path
) -> None:
    [web] = [c.id for c in engine.there if c.service == "web"]
    engine.stop(web)

    assert "web" not in {r.service for r in update_all(opened(tmp_path, engine))}


def test_order_among_independent_services_is_that_of_the_files() -> None:
    model = Model({"name": "trial", "services": SERVICES})

    assert in_dependency_order(model, SERVICES) == ["store", "app", "cache", "web"]


@pytest.mark.parametrize(
    "named",
    [{"services": ["app"]}, {"image": "app:2"}, {"build": True}, {"report": "a.html"}],
)
def test_all_goes_with_nothing_that_is_of_one_service(named: dict[str, Any]) -> None:
    unnamed = {"services": None, "image": "", "build": False, "report": ""}

    with pytest.raises(UsageError, match="--all excludes"):
        rollout.refuse_with_all(**{**unnamed, **named})
