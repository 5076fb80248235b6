"""After a backup what was stopped, paused or locked is as before, or it is not over."""

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from backup_steps import back_up, bring_back, interrupt, opened, store
from backup_world import World
from fakes import container
from volume_helper import copying, packing

from compose_ops.backup import helper, quiesce, repository, transaction
from compose_ops.docker.api import Container, Output
from compose_ops.errors import DataError, EngineError, UnhealthyError
from compose_ops.library import backups as sets
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal, recovery


class Lock:
    """A store's own lock on its data, cleared when it starts anew."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.holder = ""
        self.stuck = 0

    def take(self, asked: Container) -> Output:
        self.holder = str(asked.started)
        return Output(0, "", "")

    def release(self, asked: Container) -> Output:
        del asked
        self.stuck -= 1
        if self.stuck >= 0:
            return Output(1, "", "busy")
        self.holder = ""
        return Output(0, "", "")

    def held(self) -> bool:
        return self.holder == str(self.world.of("memo").started)


@pytest.fixture
def lock(world: World) -> Lock:
    """Return the lock of memo, which is copied while it runs."""
    made = Lock(world)
    world.services["memo"] = store(
        "memo_data",
        **{
            "backup.consistency": "native stop",
            "backup.native.prepare": "take",
            "backup.native.release": "release",
        },
    )
    world.commands |= {"take": made.take, "release": made.release}
    return made


def test_lock_that_is_busy_is_released_all_the_same(
    tmp_path: Path, world: World, lock: Lock
) -> None:
    lock.stuck = 2
    back_up(opened(tmp_path, world), "memo")

    assert not lock.held()


def test_lock_that_stays_is_said_and_released_by_the_next_task(
    tmp_path: Path, world: World, lock: Lock
) -> None:
    """No set is made of what may have been locked, and nothing is forgotten."""
    stack = opened(tmp_path, world)
    lock.stuck = 13

    with pytest.raises(EngineError, match="memo did not release"):
        back_up(stack, "memo")
    assert lock.held()
    assert len(journal.pending(stack)) == 1

    with pytest.raises(EngineError, match="memo did not release"):
        recovery.recover(stack)
    recovery.recover(stack)
    assert not lock.held()
    assert journal.pending(stack) == ()


def test_lock_that_a_restart_cleared_hinders_nothing(
    tmp_path: Path, world: World, lock: Lock
) -> None:
    stack = opened(tmp_path, world)
    lock.stuck = 99
    with pytest.raises(EngineError):
        back_up(stack, "memo")

    world.start("id-memo")
    recovery.recover(stack)

    assert journal.pending(stack) == ()


def test_preparation_that_fails_hinders_no_later_task(
    tmp_path: Path, world: World, lock: Lock
) -> None:
    """What it may have locked is released once; then the store is stopped instead."""
    stack = opened(tmp_path, world)
    lock.stuck = 99
    world.commands["take"] = lambda _asked: Output(1, "", "not now")

    with pytest.raises(DataError, match="not now"):
        back_up(stack, "memo", consistency="native")
    assert journal.pending(stack) == ()

    back_up(stack, "memo")
    (kept,) = repository.listed(tmp_path / "backups", "trial")
    assert repository.valid_manifest(kept).stores[0].consistency == "stop"
    assert world.of("memo").state == "running"


def test_dependent_that_does_not_start_is_not_forgotten_for_an_ill_store(
    stack: StackContext, world: World
) -> None:
    """The store is ill, whatever is done: only what was not put back is tried again."""
    start = world.start

    def refusing(*names: str) -> None:
        if "id-reader" in names:
            raise EngineError("no room")
        start(*names)

    world.sick = lambda name: name == "memo"
    world.start = refusing  # type: ignore[method-assign]
    world.when["helper", "copy", "trial_memo_data"] = partial(
        setattr, world, "boot", "boot-2"
    )
    with pytest.raises(EngineError, match="no room"):
        back_up(stack, "memo")
    with pytest.raises(EngineError, match="no room"):
        recovery.recover(stack)

    world.start = start  # type: ignore[method-assign]
    recovery.recover(stack)

    assert world.of("reader").state == "running"
    assert journal.pending(stack) == ()


def test_one_that_does_not_start_keeps_no_other_from_it(
    stack: StackContext, world: World
) -> None:
    start = world.start

    def refusing(*names: str) -> None:
        if "id-memo" in names:
            raise EngineError("no room")
        start(*names)

    world.start = refusing  # type: ignore[method-assign]
    world.when["helper", "copy", "trial_memo_data"] = partial(
        setattr, world, "boot", "boot-2"
    )
    with pytest.raises(EngineError, match="no room"):
        back_up(stack)

    assert world.of("pair").state == "running"


def test_ill_store_alone_ends_what_a_dead_task_left(
    stack: StackContext, world: World
) -> None:
    """All is as it was before the backup that failed."""
    world.sick = lambda name: name == "memo"
    world.when["helper", "copy", "trial_memo_data"] = partial(
        setattr, world, "boot", "boot-2"
    )
    with pytest.raises(UnhealthyError):
        back_up(stack, "memo")

    recovery.recover(stack)

    assert journal.pending(stack) == ()
    assert world.of("reader").state == "running"


@pytest.mark.parametrize("task", [back_up, bring_back])
def test_helper_that_is_not_removed_keeps_no_service_stopped(
    stack: StackContext,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    task: Callable[..., str],
) -> None:
    """It is named in the error, and the next task removes it."""
    back_up(stack, "memo")
    with monkeypatch.context() as patch:
        patch.setattr(helper, "remove_strays", partial(refuse, "the helper stays"))
        patch.setattr(quiesce, "check_rest", partial(refuse, "disturbed"))
        patch.setattr(transaction, "stage", partial(refuse, "disturbed"))
        with pytest.raises(EngineError) as failed:
            task(stack, "memo")

    assert "the helper stays" in str(failed.value)
    assert {c.state for c in world.there} == {"running"}
    assert len(journal.pending(stack)) == 1
    recovery.recover(stack)
    assert journal.pending(stack) == ()


def refuse(message: str, *_: object, **__: object) -> None:
    raise EngineError(message)


def test_services_start_once_the_set_that_filled_the_disk_is_gone(
    stack: StackContext, world: World
) -> None:
    start = world.start

    def start_with_room(*names: str) -> None:
        if list((stack.root / "backups").rglob(".partial-*")):
            raise EngineError("no space left on device")
        start(*names)

    world.start = start_with_room  # type: ignore[method-assign]
    world.when["helper", "copy", "trial_memo_data"] = partial(
        refuse, "the disk is full"
    )
    with pytest.raises(EngineError, match="the disk is full"):
        back_up(stack, "memo")

    assert {c.state for c in world.there} == {"running"}
    assert journal.pending(stack) == ()


def helper_of(run: str) -> Container:
    labels = {"compose-ops.helper": "trial", "compose-ops.run": run}
    return container(f"helper-{run}", project="", labels=labels)


def test_helpers_of_other_tasks_are_left_at_work(
    stack: StackContext, world: World
) -> None:
    """`verify` takes no lock: a backup that ends beside it does not end it."""
    world.there.append(helper_of("20260101T000000Z-0001"))

    back_up(stack, "memo")
    bring_back(stack, "memo")

    assert world.container("id-helper-20260101T000000Z-0001") is not None


def test_helpers_of_a_dead_task_are_removed(stack: StackContext, world: World) -> None:
    journal.begin(stack, "restore", "dead-1", services=["memo"], volumes=["x"])
    world.there += [helper_of("dead-1"), helper_of("other")]

    recovery.recover(stack)

    assert world.container("id-helper-dead-1") is None
    assert world.container("id-helper-other") is not None


@pytest.mark.parametrize("sick", ["memo", "reader"])
def test_set_is_kept_where_what_ran_before_stays_sick(
    tmp_path: Path, world: World, sick: str
) -> None:
    """The copy is no worse for it, and may be needed soon; the task says what ails."""
    stack = opened(tmp_path, world)
    world.when[("stop", "id-memo")] = lambda: setattr(
        world, "sick", lambda name: name == sick
    )

    with pytest.raises(UnhealthyError, match=sick):
        back_up(stack, "memo")

    [kept] = repository.listed(tmp_path / "backups", "trial")
    assert kept.verified
    assert {c.state for c in world.there} == {"running"}
    assert journal.pending(stack) == ()


@pytest.mark.parametrize("service", ["reader", "memo"])
@pytest.mark.parametrize("task", [back_up, bring_back])
def test_stop_that_was_begun_is_over_before_a_start(
    world: World, stack: StackContext, service: str, task: Callable[..., str]
) -> None:
    """The engine goes on with it: what still runs then would end later."""
    back_up(stack, "memo")
    world.done.clear()
    world.when["stop", f"id-{service}"] = interrupt

    with pytest.raises(KeyboardInterrupt):
        task(stack, "memo")

    assert _stops_and_starts(world, service) == ["stop", "stop", "start"]
    assert world.of(service).state == "running"


def test_what_stopped_and_runs_again_is_not_stopped_once_more(
    world: World, stack: StackContext
) -> None:
    """Nor is what was not touched."""
    world.when["start", "id-reader"] = interrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(stack, "memo")

    assert _stops_and_starts(world, "memo") == ["stop", "start"]
    assert _stops_and_starts(world, "reader") == ["stop", "start", "start"]
    assert _stops_and_starts(world, "pair") == []


def _stops_and_starts(world: World, service: str) -> list[str]:
    wanted = [words for words in world.done if words[1:] == (f"id-{service}",)]
    return [words[0] for words in wanted if words[0] in {"stop", "start"}]


def test_recovery_that_cannot_end_disturbs_nobody_twice(
    world: World, stack: StackContext, lock: Lock
) -> None:
    """A store that keeps its lock is no reason to stop others at every task."""
    lock.stuck = 99
    world.when["execute", "memo", "take"] = interrupt
    with pytest.raises(EngineError, match="did not release"):
        back_up(stack)
    assert world.of("pair").state == "running"
    world.done.clear()

    for _ in range(2):
        with pytest.raises(EngineError, match="did not release"):
            recovery.recover(stack)

    assert not [words for words in world.done if words[0] in {"stop", "start"}]
    assert len(journal.pending(stack)) == 1


@pytest.mark.parametrize("interrupted", [True, False])
def test_only_a_preparation_that_did_not_end_is_ended(
    world: World, stack: StackContext, lock: Lock, *, interrupted: bool
) -> None:
    """It would lock the store after all; what ended may hold the lock by a process."""
    if interrupted:
        world.when["execute", "memo", "take"] = interrupt
        with pytest.raises(KeyboardInterrupt):
            back_up(stack, "memo")
    else:
        back_up(stack, "memo")

    asked = [words[2] for words in world.done if words[:2] == ("execute", "memo")]
    ended = [text for text in asked if text.startswith("COMPOSE_OPS_BACKUP=")]
    assert len(ended) == interrupted
    assert asked[-1] == "release" or not interrupted
    assert not lock.held()


def test_copy_that_did_not_settle_is_made_again(
    world: World, stack: StackContext, lock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The set holds what was there in the copy that settled, and its own list."""
    world.services["memo"]["labels"]["compose-ops.backup.native.order"] = "**"
    writing, tries = packing.write, []

    def write(*words: Any) -> bool:
        whole = writing(*words)
        tries.append(whole)
        if len(tries) == 1:
            (world.data("memo_data") / "came").touch()
        return whole

    monkeypatch.setattr(copying, "write", write)
    made = back_up(stack, "memo", consistency="native")

    assert len(tries) == 2
    listing = stack.root / "backups/trial" / made / "memo_data.files.zst"
    assert b'"path":"came"' in subprocess.check_output(["zstd", "-dc", listing])
    found = sets.verify(stack, "backups", set_id=made, project="", identity="")
    assert found == (sets.Verification(made, "", opened=True),)
    assert not lock.held()


def test_recovery_takes_a_corrected_command_rather_than_the_recorded_one(
    lock: Lock, stack: StackContext, world: World
) -> None:
    """A release command that never worked would block its services for ever."""
    world.when["helper", "copy", "trial_memo_data"] = interrupt
    lock.stuck = 1000
    with pytest.raises((KeyboardInterrupt, EngineError)):
        back_up(stack, "memo")
    with pytest.raises(EngineError, match="did not release") as refused:
        recovery.recover(stack)
    assert "backup.native.release" in refused.value.hint

    world.services["memo"]["labels"]["compose-ops.backup.native.release"] = "mended"
    world.commands["mended"] = lambda _asked: Output(0, "", "")
    stack.reload()
    recovery.recover(stack)

    assert journal.pending(stack) == ()
