"""A restore is all of the set or none, whatever happens to the stores meanwhile."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from backup_steps import back_up, bring_back, interrupt
from backup_world import COUNT, Fate, Killed, World
from fakes import container

from compose_ops.backup import repository, restore_points, restore_rollback
from compose_ops.backup.helper import Helper
from compose_ops.docker.api import Output
from compose_ops.errors import DataError, EngineError, Interrupted, UnhealthyError
from compose_ops.library import backups as sets
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal, recovery
from compose_ops.state.journal import Journal


def assert_at_peace(stack: StackContext, world: World) -> None:
    """Assert that all services run and no journal is open."""
    assert {c.service: c.state for c in world.there} == dict.fromkeys(
        ["memo", "pair", "reader"], "running"
    )
    assert journal.pending(stack) == ()


def test_set_comes_back_whole(stack: StackContext, world: World) -> None:
    made = back_up(stack)
    for volume in ("memo_data", "left_data", "right_data"):
        world.write(volume, 99)

    assert bring_back(stack) == made

    found = [world.lines(v) for v in ("memo_data", "left_data", "right_data")]
    assert found == [3, 5, 7]
    assert_at_peace(stack, world)


@pytest.mark.parametrize("step", ["stage", "swap in"])
@pytest.mark.parametrize("state", ["running", "paused", "restarting"])
def test_store_that_is_started_meanwhile_keeps_its_data(
    stack: StackContext, world: World, step: str, state: str
) -> None:
    """By hand, or by another's `compose up`: nothing is swapped under it."""
    back_up(stack, "pair")
    world.write("left_data", 50)
    world.write("right_data", 70)
    start = partial(world.change, "id-pair", state=state)
    world.when["helper", step, "trial_left_data"] = start

    with pytest.raises(DataError, match="was started during the restore"):
        bring_back(stack, "pair")

    assert [world.lines(v) for v in ("left_data", "right_data")] == [50, 70]
    assert_at_peace(stack, world)


def test_start_that_comes_late_is_over_before_the_data_goes_back(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine goes on with a start whose task was interrupted."""
    back_up(stack, "memo")
    at_volume, states = restore_rollback.at_volume, []

    @contextmanager
    def late(stack: StackContext, of: Journal, volume: str) -> Iterator[Helper]:
        with at_volume(stack, of, volume) as talk:
            if of.step != "swapping":
                world.change("id-memo", state="running")
            yield talk

    monkeypatch.setattr(restore_rollback, "at_volume", late)
    world.when["start", "id-memo"] = interrupt
    world.when["helper", "swap out", "trial_memo_data"] = lambda: states.append(
        world.of("memo").state
    )

    with pytest.raises(KeyboardInterrupt):
        bring_back(stack, "memo")

    assert states == ["exited"]
    assert_at_peace(stack, world)


def test_engine_that_is_started_meanwhile_ends_the_restore(
    stack: StackContext, world: World
) -> None:
    back_up(stack, "memo")
    world.write("memo_data", 30)
    world.when["helper", "stage", "trial_memo_data"] = partial(
        setattr, world, "boot", "boot-2"
    )

    with pytest.raises(DataError, match="the engine was started"):
        bring_back(stack, "memo")

    assert world.lines("memo_data") == 30
    assert_at_peace(stack, world)


def test_paused_store_is_stopped_before_its_data_is_replaced(
    stack: StackContext, world: World
) -> None:
    """It would go on with the files that it has open."""
    back_up(stack, "memo")
    world.pause("id-memo")

    bring_back(stack, "memo")

    asked = world.done[world.done.index(("pause", "id-memo")) :]
    swapped = asked.index(("helper", "swap in", "trial_memo_data"))
    assert asked.index(("unpause", "id-memo")) < asked.index(("stop", "id-memo"))
    assert asked.index(("stop", "id-memo")) < swapped
    assert_at_peace(stack, world)


def test_foreign_container_that_is_paused_is_a_user_of_the_volume(
    stack: StackContext, world: World
) -> None:
    mounts = world.of("memo").mounts
    foreign = container("other", project="x", mounts=mounts, state="paused")
    world.there.append(foreign)

    with pytest.raises(DataError, match="trial-other writes to the volume"):
        back_up(stack, "memo")


def test_store_that_gets_unhealthy_on_the_set_gets_its_data_back(
    stack: StackContext, world: World
) -> None:
    back_up(stack)
    for volume in ("memo_data", "left_data", "right_data"):
        world.write(volume, 90)
    world.sick = lambda name: name == "pair" and world.lines("left_data") == 5

    with pytest.raises(UnhealthyError, match="pair is unhealthy") as failed:
        bring_back(stack)

    assert "from before the restore is in place again" in failed.value.hint
    found = [world.lines(v) for v in ("memo_data", "left_data", "right_data")]
    assert found == [90, 90, 90]
    assert_at_peace(stack, world)


@pytest.mark.parametrize("counted", ["2", "4", "nothing"])
def test_store_that_counts_otherwise_gets_its_data_back(
    stack: StackContext, world: World, counted: str
) -> None:
    back_up(stack, "memo")
    world.write("memo_data", 90)
    world.commands[COUNT] = lambda _asked: Output(0, counted, "")

    with pytest.raises(DataError, match="memo counts"):
        bring_back(stack, "memo")

    assert world.lines("memo_data") == 90
    assert_at_peace(stack, world)


def test_new_volume_without_room_is_not_unpacked_into(
    stack: StackContext, world: World
) -> None:
    """On an empty machine, too: what does not fit is known before it is tried."""
    back_up(stack, "memo")
    world.remove("id-memo")
    world.remove_volume("trial_memo_data")
    world.free = 1000

    with pytest.raises(DataError, match="trial_memo_data has 1000 B free"):
        bring_back(stack, "memo")

    assert ("helper", "stage", "trial_memo_data") not in world.done
    assert journal.pending(stack) == ()


def test_drill_without_room_is_not_begun(stack: StackContext, world: World) -> None:
    made = back_up(stack, "memo")
    world.free = 1000

    with pytest.raises(DataError, match=r"drill-\w+_memo_data has 1000 B free"):
        sets.drill(stack, "backups", set_id=made, identity="")

    assert ("helper", "stage", "trial-drill_memo_data") not in world.done
    assert_at_peace(stack, world)


def test_restore_that_fails_is_told_even_where_the_store_stays_ill(
    stack: StackContext, world: World
) -> None:
    """What failed first is the error; what hinders its undoing stands below."""
    back_up(stack, "memo")
    world.commands[COUNT] = lambda _asked: Output(0, "1", "")
    world.when["helper", "swap out", "trial_memo_data"] = lambda: setattr(
        world, "sick", lambda name: name == "memo"
    )

    with pytest.raises(DataError, match="memo counts 1") as failed:
        bring_back(stack, "memo")

    assert "memo is unhealthy on it, too" in failed.value.detail
    assert "in place again" in failed.value.hint


def test_restore_that_cannot_be_undone_yet_says_so(
    stack: StackContext, world: World
) -> None:
    """The next task goes on with it."""
    back_up(stack, "memo")
    world.write("memo_data", 90)
    world.commands[COUNT] = lambda _asked: Output(0, "1", "")

    def refuse() -> None:
        raise EngineError("no room for a helper")

    world.when["helper", "swap out", "trial_memo_data"] = refuse

    with pytest.raises(DataError, match="memo counts 1") as failed:
        bring_back(stack, "memo")
    assert "no room for a helper" in failed.value.detail
    assert "the next task tries it again" in failed.value.hint

    recovery.recover(stack)
    assert world.lines("memo_data") == 90
    assert_at_peace(stack, world)


def test_signal_that_comes_once_a_restore_is_committed_lets_it_finish(
    stack: StackContext, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    back_up(stack, "memo")
    world.write("memo_data", 90)
    world.when["helper", "commit", "trial_memo_data"] = lambda: os.kill(
        os.getpid(), signal.SIGINT
    )

    with pytest.raises(Interrupted) as stopped:
        bring_back(stack, "memo")

    assert "do not restore it again" in stopped.value.hint
    assert world.lines("memo_data") == 3
    assert_at_peace(stack, world)
    assert "still finishing the restore" in capsys.readouterr().err


def test_restore_that_is_interrupted_as_it_is_committed_is_not_done_twice(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told to give the same command again."""
    back_up(stack, "memo")
    world.write("memo_data", 90)
    at = {"after committed": interrupt}
    monkeypatch.setattr(journal, "reached", lambda step: at.get(step, bool)())

    with pytest.raises(Interrupted, match="interrupted") as stopped:
        bring_back(stack, "memo")

    assert "do not restore it again" in stopped.value.hint
    assert world.lines("memo_data") == 3
    assert_at_peace(stack, world)


@pytest.mark.parametrize("dies", [False, True])
def test_restore_that_cannot_be_finished_lets_run_what_ran_before(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch, *, dies: bool
) -> None:
    """At once, or by the next task; what is left to do stays in the journal."""
    back_up(stack)
    end: Callable[[StackContext], object] = bring_back
    if dies:
        dead = partial(setattr, world, "fate", Fate(is_dead=True))
        world.when["helper", "commit", "trial_memo_data"] = dead
        with pytest.raises(Killed):
            bring_back(stack, "memo")
        world.fate = Fate()
        end = recovery.recover

    def refuse(*_: object) -> None:
        raise DataError("previous.json cannot be written", hint="run this again")

    with monkeypatch.context() as patch:
        patch.setattr(restore_points, "add", refuse)
        with pytest.raises(DataError, match=r"previous\.json") as failed:
            end(stack)

    assert "invoke recover" in failed.value.hint
    assert dies or "run this again" not in failed.value.hint
    assert world.of("reader").state == "running"
    assert journal.pending(stack) != ()
    recovery.recover(stack)
    assert restore_points.listed(stack)
    assert_at_peace(stack, world)


@pytest.mark.parametrize(("state", "code"), [("paused", 0), ("exited", 137)])
def test_store_that_does_not_run_is_kept_for_what_it_is(
    stack: StackContext,
    world: World,
    capsys: pytest.CaptureFixture[str],
    state: str,
    code: int,
) -> None:
    world.change("id-memo", state=state, exit_code=code)

    made = back_up(stack, "memo")

    (found,) = repository.listed(stack.root / "backups", "trial")
    assert (found.id, repository.valid_manifest(found).stores[0].consistency) == (
        made,
        "crash",
    )
    assert "the set is marked crash" in capsys.readouterr().err
    assert world.of("memo").state == state
