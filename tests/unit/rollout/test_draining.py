"""How replicas are taken out of service, and what the gateway must offer for that."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from composing import opened
from served import NETWORK, SERVED, Probing, Served, quick, updated

from compose_ops.errors import ConfigurationError, EngineError, RolledBack
from compose_ops.rollout import delegation, journal, update
from compose_ops.rollout.result import UpdateResult
from compose_ops.rollout.update import UpdateRequest

NEW = "sha256:built"
LABELS = "compose-ops.rollout."


def labelled(**labels: str) -> dict[str, Any]:
    """Return the app with other labels; "" takes one away."""
    given = {LABELS + k.replace("_", "-"): v for k, v in labels.items()}
    stated: dict[str, str] = {**SERVED["labels"], **given}  # type: ignore[dict-item]
    return {**SERVED, "labels": {k: v for k, v in stated.items() if v}}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Served:
    """Return an engine on which two replicas take no signal."""
    gateway = {"image": "gateway"}
    engine = Served({"app": labelled(drain=""), "gateway": gateway})
    quick(monkeypatch, engine)
    return engine


def run(root: Path, engine: Served) -> UpdateResult:
    return update.update(opened(root, engine), "app", UpdateRequest(build=True))


def test_nothing_is_asked_of_the_application(engine: Served, tmp_path: Path) -> None:
    """Neither a signal nor a program in its image: the gateway drains it."""
    begin = engine.clock.now()
    for each in engine.replicas():
        engine.held[each.id] = begin + 4

    run(tmp_path, engine)

    assert engine.running("app") == {NEW}
    assert engine.cut == []
    assert not [done for done in engine.done if done[0] in {"kill", "execute"}]
    assert engine.clock.now() - begin >= 4


def test_a_connection_that_lasts_is_cut_and_counted(
    engine: Served, tmp_path: Path
) -> None:
    """After the drain timeout; the update is no failure for it."""
    engine.services = {
        **engine.services,
        "app": labelled(drain="", **{"drain-timeout": "7s"}),
    }
    old = [c.id for c in engine.replicas()]
    engine.held[old[0]] = engine.clock.now() + 9999
    before = engine.clock.now()

    result = run(tmp_path, engine)

    assert (result.result, result.cut) == ("updated", 1)
    assert result.as_json()["cut_connections"] == 1
    assert engine.ended == [old[0]]
    assert engine.cut == []
    assert 7 <= engine.clock.now() - before < 12


def test_the_next_replica_gets_the_servers_of_the_last(
    engine: Served, tmp_path: Path
) -> None:
    """No server of the gateway stays drained when the update is over."""
    run(tmp_path, engine)

    assert engine.set_out == set()


def test_an_old_replica_that_took_no_signal_serves_on_without_a_restart(
    engine: Served, tmp_path: Path
) -> None:
    """It drained, its stop was refused: it is only given requests again."""
    old = [c.id for c in engine.replicas()]
    stop = engine.stop

    def refusing(*containers: str, timeout: int | None = None) -> None:
        if containers[0] in old:
            raise EngineError("refused")
        stop(*containers, timeout=timeout)

    engine.stop = refusing  # type: ignore[method-assign]
    with pytest.raises(RolledBack, match="the old version serves"):
        run(tmp_path, engine)

    assert engine.served() == set(old)
    assert engine.set_out == set()
    assert journal.read(opened(tmp_path, engine).state) is None


def test_a_gateway_that_may_not_drain_is_refused_with_the_line_to_add(
    engine: Served, tmp_path: Path
) -> None:
    """Nothing else tells the replicas to go; nothing is changed."""
    engine.may_drain = False
    before = list(engine.there)

    with pytest.raises(ConfigurationError) as refused:
        run(tmp_path, engine)

    assert "level admin" in refused.value.hint
    assert engine.there == before


def test_replicas_that_take_a_signal_need_no_more_of_the_gateway(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As those of the version before did."""
    engine = Served()
    engine.may_drain = False
    quick(monkeypatch, engine)

    updated(tmp_path, engine)

    assert engine.running("app") == {NEW}
    assert engine.cut == []


def test_the_first_version_that_takes_a_signal_sends_none_to_the_one_before(
    engine: Served, tmp_path: Path
) -> None:
    """It would end by it: a container's own labels say what it takes."""
    engine.services = {**engine.services, "app": labelled(drain="SIGUSR1")}
    own = {LABELS + "port": "8000"}
    engine.there[:] = [
        replace(c, labels=own) if c.service == "app" else c for c in engine.there
    ]

    run(tmp_path, engine)

    assert not [done for done in engine.done if done[0] == "kill"]


def change_both(engine: Served) -> None:
    """Change the app and its gateway, which lacks what the change gives it."""
    engine.may_drain = False
    changed = {"image": "gateway", "command": "with the line"}
    app = {**labelled(drain=""), "command": "another"}
    engine.services = {"app": app, "gateway": changed}
    up = engine.up

    def at(*services: Any, **how: Any) -> None:
        engine.may_drain |= list(services[0]) == ["gateway"]
        up(*services, **how)

    engine.up = at  # type: ignore[method-assign]


def test_a_gateway_that_is_to_change_is_changed_first(
    engine: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_both(engine)
    delegation.update(opened(tmp_path, engine), ["app"], timeout=None)

    assert len({c.config_hash for c in engine.replicas()}) == 1
    assert "gateway is recreated before app" in capsys.readouterr().err


def test_signal_ends_the_task_also_after_a_gateway_was_changed(
    engine: Served, tmp_path: Path
) -> None:
    def interrupt(verb: str) -> None:
        if verb == "remove":
            signal.raise_signal(signal.SIGINT)

    change_both(engine)
    engine.at.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        delegation.update(opened(tmp_path, engine), ["app"], timeout=None)

    assert len({c.config_hash for c in engine.replicas()}) == 1


def test_a_gateway_that_fails_is_changed_before_its_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What repairs it is not refused for what it repairs."""
    engine = Served({"app": labelled(drain=""), "gateway": {"image": "gateway"}})
    app = {**labelled(drain=""), "command": "another"}
    changed = {"image": "gateway", "command": "with another port"}
    engine.services = {"app": app, "gateway": changed}
    up, repaired = engine.up, list[bool]()

    def at(*services: Any, **how: Any) -> None:
        repaired.extend([True] * (list(services[0]) == ["gateway"]))
        up(*services, **how)

    engine.up = at  # type: ignore[method-assign]
    quick(monkeypatch, engine, Probing(lambda: "" if repaired else "answered 503"))

    delegation.update(opened(tmp_path, engine), ["app"], timeout=None)

    assert repaired
    assert len({c.config_hash for c in engine.replicas()}) == 1


def test_a_gateway_that_stays_as_it_is_refuses_the_update(
    engine: Served, tmp_path: Path
) -> None:
    engine.may_drain = False
    app = {**labelled(drain=""), "command": "another"}
    engine.services = {**engine.services, "app": app}
    before = list(engine.there)

    with pytest.raises(ConfigurationError, match="may not drain"):
        delegation.update(opened(tmp_path, engine), ["app"], timeout=None)

    assert engine.there == before


def test_a_gateway_that_ends_is_named_as_the_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not the requests that failed for it; and nobody is said to be served."""
    engine = Served({"app": labelled(drain=""), "gateway": {"image": "gateway"}})
    old = {c.id for c in engine.replicas()}
    gateway = next(c for c in engine.there if c.service == "gateway")
    gone: list[bool] = []

    def at(verb: str) -> None:
        if verb == "created" and not gone:
            gone.append(True)
            engine.stop(gateway.id)

    engine.at.append(at)
    quick(monkeypatch, engine, Probing(lambda: "refused" if gone else ""))

    with pytest.raises(RolledBack) as failed:
        run(tmp_path, engine)

    assert "the gateway gateway ended with exit code" in failed.value.message
    assert "no request reaches it" in failed.value.message
    assert {c.id for c in engine.replicas()} == old


def test_a_connection_that_outlasts_a_signal_is_cut_and_counted_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A gateway that may not end sessions loses them with the container."""
    engine = Served()
    engine.may_drain = False
    quick(monkeypatch, engine)
    engine.held[engine.replicas()[0].id] = engine.clock.now() + 9999

    result = run(tmp_path, engine)

    assert (result.result, result.cut) == ("updated", 1)
    assert engine.running("app") == {NEW}


def test_a_gateway_that_goes_on_sending_requests_keeps_the_old_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A health page that ignores the signal: a stop would lose requests."""
    engine = Served()
    engine.may_drain = False
    quick(monkeypatch, engine)
    old = {c.id for c in engine.replicas()}
    engine.kill = lambda *_words: None  # type: ignore[method-assign]

    with pytest.raises(RolledBack, match="still sends new requests") as failed:
        run(tmp_path, engine)

    assert "level admin" in failed.value.hint
    assert engine.served() == old
    assert engine.cut == []


@pytest.mark.parametrize("count", [1, 3])
def test_a_number_of_replicas_that_was_changed_by_hand_is_corrected(
    engine: Served, tmp_path: Path, count: int
) -> None:
    """Missing ones are added, surplus ones drain before they go."""
    engine.up(["app"], scale={"app": count})
    for each in engine.replicas()[count:]:
        engine.remove(each.id)
    for each in engine.replicas():
        if NETWORK not in each.networks:
            engine.connect(NETWORK, each.id)
    for each in engine.replicas():
        engine.held[each.id] = engine.clock.now() + 3

    run(tmp_path, engine)

    assert len(engine.replicas()) == 2
    assert engine.served() == {c.id for c in engine.replicas()}
    assert engine.running("app") == {NEW}
    assert engine.cut == []
