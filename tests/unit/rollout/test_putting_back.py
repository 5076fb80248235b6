"""However an update ends, as many containers serve as before, and no journal jams."""

import os
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from composing import UPDATED, opened
from full_disk import FullDisk
from served import ROLLED, SERVED, Probing, Served, quick, updated

from compose_ops.docker.api import Container
from compose_ops.errors import DataError, EngineError, Interrupted, RolledBack
from compose_ops.rollout import deployments, journal, update
from compose_ops.rollout.rollback import rollback
from compose_ops.rollout.update import UpdateRequest

OLD, NEW = "sha256:app-1", "sha256:built"
STORE = {"image": "store", "build": {"context": "."}, "deploy": UPDATED}


class Killed(BaseException):
    """The end of a process in the middle of something."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Served:
    """Return an engine on which two replicas are served."""
    engine = Served()
    quick(monkeypatch, engine)
    return engine


def raising(error: BaseException, verb: str, turn: int = 1) -> Callable[[str], None]:
    """Return what raises *error* at a turn of a verb, once."""
    turns: list[str] = []

    def at(done: str) -> None:
        turns.extend([done] if done == verb else [])
        if done == verb and len(turns) == turn:
            raise error

    return at


def assert_whole(root: Path, engine: Served, ids: set[str] | None = None) -> None:
    """Two replicas are there and served, those of *ids*, and no journal is left."""
    assert len(engine.replicas()) == 2
    assert engine.served() == (ids or {c.id for c in engine.replicas()})
    assert journal.read(opened(root, engine).state) is None


def _configure(engine: Served, **settings: object) -> None:
    config = {**ROLLED["update_config"], **settings}
    app = {**SERVED, "deploy": {**ROLLED, "update_config": config}}
    engine.services = {**engine.services, "app": app}


def sick(engine: Served, container: Container) -> str:
    engine.sick.add(container.id)
    engine.start(container.id)
    return container.id


def test_an_update_replaces_both(engine: Served, tmp_path: Path) -> None:
    """As all that follows begins."""
    updated(tmp_path, engine)

    assert engine.running("app") == {NEW}
    assert_whole(tmp_path, engine)


def test_a_sick_store_is_put_back_without_being_asked_for_health(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    Its first fix is bad, too: it fails, and the next one can be tried.

    Nobody looked whether the old one serves, and nobody says so.
    """
    engine = Served({"store": STORE})
    quick(monkeypatch, engine)
    old = sick(engine, engine.there[0])
    engine.bad.add(NEW)

    for _ in range(2):
        with pytest.raises(RolledBack, match="the old version is back") as failed:
            updated(tmp_path, engine, "store")
        assert "was not healthy before" in failed.value.message
        assert "serves" not in str(failed.value)

    assert [(c.id, c.is_running) for c in engine.there] == [(old, True)]
    assert engine.tags["store"] == "sha256:store-1"


def test_a_sick_replica_that_was_retired_is_put_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """When the last requests show that the new version is bad."""
    engine = Served()
    first, second = (c.id for c in engine.replicas())
    old = sick(engine, engine.replicas()[1])
    probe = Probing(lambda: "500" if old in engine.draining else "")
    quick(monkeypatch, engine, probe)

    with pytest.raises(RolledBack, match="the old version serves, but trial-app-2 was"):
        updated(tmp_path, engine)

    assert {c.id for c in engine.replicas()} == {first, second}
    assert engine.served() == {first}
    assert journal.read(opened(tmp_path, engine).state) is None


def test_an_ended_store_whose_update_fails_is_not_said_to_serve(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = Served({"store": STORE})
    quick(monkeypatch, engine)
    engine.stop(engine.there[0].id)
    engine.bad.add(NEW)

    with pytest.raises(RolledBack, match="was not healthy before") as failed:
        updated(tmp_path, engine, "store")

    assert "serves" not in str(failed.value)


def test_a_healthy_store_whose_update_fails_serves_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = Served({"store": STORE})
    quick(monkeypatch, engine)
    engine.bad.add(NEW)

    with pytest.raises(RolledBack, match="updated, the old version serves: the new"):
        updated(tmp_path, engine, "store")


def test_a_proven_replica_stays_where_its_predecessor_gets_no_healthier(
    engine: Served, tmp_path: Path
) -> None:
    """What serves is worth more than one version everywhere; the error says so."""
    first, second = (c.id for c in engine.replicas())

    def at(verb: str) -> None:
        if verb == "created" and len(engine.replicas()) == 4:
            engine.sick |= {first, NEW}

    engine.at.append(at)
    with pytest.raises(RolledBack, match=r"could be put back: the old .* unhealthy"):
        updated(tmp_path, engine)

    assert len(engine.replicas()) == 2
    assert second in engine.served()
    assert len(engine.served()) == 2
    assert journal.read(opened(tmp_path, engine).state) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EngineError("refused")])
@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("size", [1, 2])
def test_what_was_being_created_goes(
    engine: Served, tmp_path: Path, error: BaseException, turn: int, size: int
) -> None:
    """Ctrl-C, or a refusal, after Compose made a container that nobody noted."""
    _configure(engine, parallelism=size)
    before = {c.id for c in engine.replicas()}
    engine.at.append(raising(error, "created", min(turn, 3 - size)))

    with pytest.raises((Interrupted, RolledBack)):
        updated(tmp_path, engine)

    assert_whole(tmp_path, engine, before)


def test_a_refused_removal_is_made_up_for_by_the_next_task(
    engine: Served, tmp_path: Path
) -> None:
    """Nothing goes back any more: the new version serves, and is what is deployed."""
    engine.tags["two"] = "sha256:two"
    engine.known.add("sha256:two")
    engine.at.append(raising(EngineError("refused"), "remove"))

    with pytest.raises(EngineError, match="updated, but not every"):
        update.update(opened(tmp_path, engine), "app", UpdateRequest(image="two"))
    assert engine.running("app") == {"sha256:two"}
    outcome = update.update(opened(tmp_path, engine), "app", UpdateRequest())

    assert outcome.result == "nothing-to-do"
    assert engine.running("app") == {"sha256:two"}
    assert_whole(tmp_path, engine)


def test_ctrl_c_while_old_ones_are_removed_changes_nothing(
    engine: Served, tmp_path: Path
) -> None:
    """It is too late to go back, and too early to leave: the task ends after it."""

    def interrupt(verb: str) -> None:
        if verb == "remove":
            os.kill(os.getpid(), signal.SIGINT)

    engine.at.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        updated(tmp_path, engine)

    assert engine.running("app") == {NEW}
    assert_whole(tmp_path, engine)


def test_an_update_killed_at_its_end_is_recorded_by_the_next_task(
    engine: Served, tmp_path: Path
) -> None:
    """What it deployed stays deployed, and a rollback leads back from it."""
    engine.tags["two"] = "sha256:two"
    engine.known.add("sha256:two")
    engine.at.append(raising(Killed(), "remove"))
    with pytest.raises(Killed):
        update.update(opened(tmp_path, engine), "app", UpdateRequest(image="two"))

    outcome = update.update(opened(tmp_path, engine), "app", UpdateRequest())
    found = deployments.read(opened(tmp_path, engine).state).of("app")
    rollback(opened(tmp_path, engine), "app")

    assert outcome.result == "nothing-to-do"
    assert (found.name, [kept.id for kept in found.previous]) == ("two", [OLD])
    assert engine.running("app") == {OLD}
    assert_whole(tmp_path, engine)


def test_a_proven_replica_that_died_since_is_not_gone_forward_with(
    engine: Served, tmp_path: Path
) -> None:
    """The update was killed before its old one was removed: that one returns."""
    before = {c.id for c in engine.replicas()}
    engine.at.append(raising(Killed(), "created", 2))
    with pytest.raises(Killed):
        updated(tmp_path, engine)
    [proven] = [c for c in engine.replicas() if c.image_id == NEW and c.is_running]
    engine.stop(proven.id)

    update.clean_up(opened(tmp_path, engine))

    assert_whole(tmp_path, engine, before)


def test_a_connection_that_never_ends_holds_up_no_later_task(
    engine: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The update was killed as it retired the first: that one gets its grace."""
    note = journal.Journal.note

    def dying(book: journal.Journal, step: str) -> None:
        note(book, step)
        if step == "retire":
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "note", dying)
        with pytest.raises(Killed):
            updated(tmp_path, engine)
    first, second = engine.replicas()[:2]
    engine.held[first.id] = engine.clock.now() + 999

    update.clean_up(opened(tmp_path, engine))

    assert first.id not in engine.served()
    assert second.id in engine.served()
    assert_whole(tmp_path, engine)


def test_requests_of_a_good_replica_end_before_it_goes(
    engine: Served, tmp_path: Path
) -> None:
    """Ctrl-C takes back what was proven: with the patience that a good one gets."""

    def at(verb: str) -> None:
        if verb == "created" and len(engine.replicas()) == 4:
            [new] = engine.served() - {c.id for c in engine.replicas()[:2]}
            engine.held[new] = engine.clock.now() + 8
            raise KeyboardInterrupt

    engine.at.append(at)
    with pytest.raises(Interrupted):
        updated(tmp_path, engine)

    assert engine.held
    assert engine.cut == []
    assert_whole(tmp_path, engine)


def test_a_request_that_fails_at_the_first_step_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whether requests are judged is decided before, and once."""
    engine = Served()
    seen = iter([""])
    quick(monkeypatch, engine, Probing(lambda: next(seen, "500")))

    with pytest.raises(RolledBack, match="500"):
        updated(tmp_path, engine)

    assert engine.running("app") == {OLD}


def test_requests_that_failed_before_count_for_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where no replica was healthy, the update is what mends that."""
    engine = Served()
    quick(monkeypatch, engine, Probing(lambda: "503"))
    for replica in engine.replicas():
        sick(engine, replica)

    updated(tmp_path, engine)

    assert engine.running("app") == {NEW}
    assert_whole(tmp_path, engine)


@pytest.mark.parametrize("late", [False, True])
def test_a_failure_seen_through_the_gateway_shows_the_new_replicas_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, late: bool
) -> None:
    """They are gone by the time that anybody reads it; at the very end, too."""
    engine = Served()
    least = 2 if late else 1

    def wrong() -> str:
        found = [c for c in engine.replicas() if c.image_id == NEW and c.is_running]
        found = [c for c in found if c.id in engine.served()]
        return "500" if len(found) >= least and len(engine.draining) >= late * 2 else ""

    quick(monkeypatch, engine, Probing(wrong))
    with pytest.raises(RolledBack) as failed:
        updated(tmp_path, engine)

    assert "the last 15 lines of" in failed.value.detail
    assert_whole(tmp_path, engine)


def test_a_replica_that_the_gateway_does_not_take_tells_why(
    engine: Served, tmp_path: Path
) -> None:
    """Where the other slot is updated all the same."""
    _configure(engine, failure_action="continue")

    def at(verb: str) -> None:
        if verb == "created" and len(engine.replicas()) == 3:
            engine.refused.add(engine.replicas()[-1].id)
            engine.at.clear()

    engine.at.append(at)
    with pytest.raises(RolledBack, match="1 of 2 replicas") as failed:
        updated(tmp_path, engine)

    assert "the last 15 lines of" in failed.value.detail
    assert engine.running("app") == {OLD, NEW}
    assert_whole(tmp_path, engine)


@pytest.mark.parametrize(
    "settings",
    [
        {"failure_action": "continue"},
        {"failure_action": "rollback", "max_failure_ratio": 0.5},
    ],
)
def test_what_was_created_goes_where_the_update_goes_on(
    engine: Served, tmp_path: Path, settings: dict[str, object]
) -> None:
    """A slot whose creation was refused stays old, without a leftover."""
    _configure(engine, **settings)
    engine.at.append(raising(EngineError("refused"), "created"))

    with pytest.raises(RolledBack, match="1 of 2 replicas"):
        updated(tmp_path, engine)

    assert engine.running("app") == {OLD, NEW}
    assert_whole(tmp_path, engine)


def test_a_bad_replica_gets_little_patience(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What it holds would only fail: it goes after five seconds."""
    engine = Served()

    def wrong() -> str:
        new = {c.id for c in engine.replicas() if c.image_id == NEW}
        found = new & engine.served()
        engine.held |= dict.fromkeys(found, engine.clock.now() + 99)
        return "500" if found else ""

    quick(monkeypatch, engine, Probing(wrong))
    with pytest.raises(RolledBack):
        updated(tmp_path, engine)

    assert engine.cut
    assert engine.clock.now() < 10
    assert_whole(tmp_path, engine)


def test_a_dry_run_leaves_a_running_update_alone(
    engine: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose reads the files again at each batch: they are this update's own."""
    for tag in ("two", "three"):
        engine.tags[tag] = f"sha256:{tag}"
        engine.known.add(f"sha256:{tag}")

    def at(verb: str) -> None:
        if verb == "created" and len(engine.replicas()) == 3:
            with monkeypatch.context() as other:
                other.setattr(os, "getpid", lambda: 2**30)
                stack = opened(tmp_path, engine)
                stack.dry = True
                update.update(stack, "app", UpdateRequest(image="three"))

    engine.at.append(at)
    update.update(opened(tmp_path, engine), "app", UpdateRequest(image="two"))

    assert engine.running("app") == {"sha256:two"}
    assert not list(tmp_path.rglob("candidate*"))
    assert_whole(tmp_path, engine)


def test_an_image_that_was_replaced_for_being_sick_is_no_way_back(
    engine: Served, tmp_path: Path
) -> None:
    """A rollback leads to what served well."""
    for replica in engine.replicas():
        sick(engine, replica)

    updated(tmp_path, engine)

    assert not deployments.read(opened(tmp_path, engine).state).of("app").previous


def test_state_disk_that_is_full_from_anywhere_on_hinders_no_way_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The old replicas serve at once; past the way back the new ones do."""
    for number in count():
        root = tmp_path / f"{number}"
        engine = Served()
        quick(monkeypatch, engine)
        before = {c.id for c in engine.replicas()}
        with monkeypatch.context() as patch:
            disk = FullDisk(patch, writes=number)
            try:
                updated(root, engine)
            except RolledBack:
                assert engine.served() == before, number
            except (DataError, EngineError):
                assert engine.served() == before or engine.running("app") == {NEW}
        if not disk.refused:
            assert number > 20
            return
        update.clean_up(opened(root, engine))
        assert_whole(root, engine)
