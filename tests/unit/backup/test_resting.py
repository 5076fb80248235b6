"""What rests for a copy stays at rest, or the copy is no set."""

import itertools
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from backup_steps import back_up, bring_back, interrupt, opened, store
from backup_world import World
from fakes import container

from compose_ops.backup import repository, service_control
from compose_ops.docker.api import Container, Output, Probe
from compose_ops.errors import DataError, UnhealthyError
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal

PREPARE = "compose-ops.backup.native.prepare"


def assert_no_set(stack: StackContext, world: World) -> None:
    """Assert that nothing is taken for a set, and that all services run."""
    assert repository.listed(stack.root / "backups", "trial") == []
    assert not list((stack.root / "backups").rglob(".partial-*"))
    assert {c.state for c in world.there} == {"running"}
    assert journal.pending(stack) == ()


def test_fault_of_any_kind_stops_no_step_of_the_return(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What depends on the stores is started, also where nobody could wait for them."""

    def lost() -> None:
        raise OSError(5, "Input/output error")

    world.when["helper", "copy", "trial_memo_data"] = interrupt
    monkeypatch.setattr(service_control, "health_progress", lost)

    with pytest.raises(OSError, match="Input/output error"):
        back_up(stack)

    assert {c.state for c in world.there} == {"running"}


@pytest.fixture
def native(tmp_path: Path, world: World) -> StackContext:
    """Return a stack whose memo can be copied while it runs."""
    labels = {
        "backup.consistency": "native stop",
        "backup.native.prepare": "prepare",
        "backup.native.order": "**",
    }
    world.services["memo"] = store("memo_data", **labels)
    world.commands["prepare"] = lambda _asked: Output(0, "", "")
    return opened(tmp_path, world)


@pytest.mark.parametrize(
    "step",
    [
        ("stop", "id-pair"),
        ("helper", "copy", "trial_memo_data"),
        ("helper", "copy", "trial_right_data"),
    ],
)
def test_store_that_is_started_under_the_copy_discards_it(
    stack: StackContext, world: World, step: tuple[str, ...]
) -> None:
    """Also one that was started while the next one was still being stopped."""
    world.when[step] = partial(world.start, "id-memo")

    with pytest.raises(DataError, match="trial-memo was started or ended"):
        back_up(stack)

    assert_no_set(stack, world)


def test_store_that_does_not_stay_stopped_is_never_called_clean(
    stack: StackContext, world: World
) -> None:
    stop = world.stop

    def restarted(*names: str) -> None:
        stop(*names)
        world.start(*names)

    world.stop = restarted  # type: ignore[method-assign, assignment]

    with pytest.raises(DataError, match="was started or ended"):
        back_up(stack, "memo")


def test_new_container_of_the_store_discards_the_copy(
    stack: StackContext, world: World
) -> None:
    """Such as `docker compose run`, or one that was recreated."""
    new = container("memo", id="another", name="trial-memo-2")
    world.when["helper", "copy", "trial_memo_data"] = partial(world.there.append, new)

    with pytest.raises(DataError, match="trial-memo-2 was started"):
        back_up(stack, "memo")


def test_store_that_restarts_while_it_is_locked_discards_the_copy(
    native: StackContext, world: World
) -> None:
    """The lock is gone with it, even where it restarts within its own command."""

    def restarting(_asked: object) -> Output:
        world.start("id-memo")
        return Output(0, "", "")

    world.commands["prepare"] = restarting

    with pytest.raises(DataError, match="was started or ended"):
        back_up(native, "memo", consistency="native")

    assert_no_set(native, world)


def test_store_that_was_started_before_the_copy_is_stopped(
    stack: StackContext, world: World
) -> None:
    """It did not run when the backup began, and does while its size is measured."""
    world.stop("id-memo")
    world.when["helper", "measure", "trial_memo_data"] = partial(world.start, "id-memo")

    made = back_up(stack, "memo")

    asked = world.done[world.done.index(("helper", "measure", "trial_memo_data")) :]
    copied = asked.index(("helper", "copy", "trial_memo_data"))
    assert asked.index(("stop", "id-memo")) < copied
    (kept,) = repository.listed(stack.root / "backups", "trial")
    assert (kept.id, repository.valid_manifest(kept).stores[0].consistency) == (
        made,
        "stop",
    )


@pytest.mark.parametrize("state", ["running", "exited"])
def test_dependent_that_runs_meanwhile_makes_no_coherent_set(
    native: StackContext, world: World, state: str
) -> None:
    """Unpaused by hand, or started: it may write to one store and not to another."""
    world.change("id-reader", state=state)
    world.services = {name: world.services[name] for name in ("memo", "reader")}
    world.services["reader"]["depends_on"] = {"memo": {}}
    wake = partial(world.change, "id-reader", state="running")
    world.when["helper", "copy", "trial_memo_data"] = wake

    with pytest.raises(DataError, match="trial-reader was started or ended"):
        back_up(native)


def test_native_set_is_counted_as_it_was_snapshotted(
    native: StackContext, world: World
) -> None:
    """It grew before the snapshot and shrank after it: what was kept is between."""

    def snapshot(_asked: object) -> Output:
        world.write("memo_data", 150)
        return Output(0, "", "")

    def clean_up() -> None:
        world.when["execute", "memo", "count"] = lambda: world.write("memo_data", 10)

    world.commands["prepare"] = snapshot
    world.when["helper", "copy", "trial_memo_data"] = clean_up
    back_up(native, "memo")

    bring_back(native, "memo")

    assert world.lines("memo_data") == 150


def test_set_of_each_store_by_itself_pauses_nobody(
    native: StackContext, world: World
) -> None:
    """For a project that rather has no moment without its application."""
    world.services = {name: world.services[name] for name in ("memo", "reader")}
    world.services["reader"]["depends_on"] = {"memo": {}}
    world.done.clear()

    made = back_up(native, coherent=False)

    assert not [words for words in world.done if words[0] in {"pause", "stop"}]
    kept = repository.load(native.root / "backups/trial" / made)
    assert repository.valid_manifest(kept).coherent is False


@pytest.mark.parametrize(("begun", "healthy"), [(-5, True), (5, False)])
def test_probe_that_a_pause_failed_is_no_verdict(
    native: StackContext, world: World, begun: int, *, healthy: bool
) -> None:
    """It began before the pause ended; the next one judges."""
    woken = datetime.now(UTC)
    probe = Probe(woken + timedelta(seconds=begun), 1, "late")
    world.change("id-reader", health="unhealthy", probes=(probe,))
    looks = itertools.count()

    def refreshed() -> tuple[Container, ...]:
        if next(looks) == 1:
            world.change("id-reader", health="healthy")
        return world.containers(project="trial")

    native.refresh = refreshed  # type: ignore[method-assign]
    stopped = service_control.to_stop([world.of("reader")])

    if healthy:
        service_control.wait(native, stopped, since=woken)
    else:
        with pytest.raises(UnhealthyError, match="reader is unhealthy"):
            service_control.wait(native, stopped, since=woken)


@pytest.mark.parametrize("state", [{}, {"state": "exited", "health": ""}])
def test_job_that_a_backup_stopped_need_not_stay_running(
    stack: StackContext, world: World, state: dict[str, Any]
) -> None:
    """It is back while it runs, and when it has ended with 0."""
    begin_job(world)
    start = world.start

    def started(*names: str) -> None:
        start(*names)
        if names == ("id-migrate",):
            world.change("id-migrate", **state)

    world.start = started  # type: ignore[method-assign]

    assert back_up(opened(stack.root, world))


def test_job_that_fails_after_a_backup_is_named(
    stack: StackContext, world: World
) -> None:
    begin_job(world)
    world.change("id-migrate", state="exited", exit_code=3)
    job = service_control.to_stop([world.of("migrate")])

    with pytest.raises(UnhealthyError, match="migrate ended with exit code 3"):
        service_control.wait(opened(stack.root, world), job)


def begin_job(world: World) -> None:
    """Let `migrate` run, a job of memo's data that reader waits for."""
    done = {"condition": "service_completed_successfully"}
    world.services["migrate"] = {"image": "job:1", "depends_on": {"memo": {}}}
    world.services["reader"]["depends_on"] = {"migrate": done}
    world.up(["migrate"])
