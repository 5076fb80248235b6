"""A task that dies at any step leaves nothing that the next one does not mend."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from backup_steps import back_up, bring_back, opened, store, two_stores
from backup_world import Fate, Killed, World
from full_disk import FullDisk
from volume_helper import staging

from compose_ops.backup import prune, repository, restore_points, restore_undo, verify
from compose_ops.backup.retention import Rules
from compose_ops.docker.api import Container, Output
from compose_ops.errors import ComposeOpsError, DataError, EngineError
from compose_ops.library import backups as sets
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal, recovery

VOLUMES = ("memo_data", "left_data", "right_data")
KEPT, LIVE, LATER = [3, 5, 7], [30, 50, 70], [4, 6, 8]
DEAD = ("is_dead", True)


class Site:
    """A project in a folder of its own, and whether its memo is locked."""

    def __init__(self, root: Path) -> None:
        (root / "volumes").mkdir(parents=True, exist_ok=True)
        self.locked = False
        services = two_stores()
        labels = {
            "backup.consistency": "native stop crash",
            "backup.native.prepare": "lock",
            "backup.native.release": "unlock",
        }
        services["memo"] = store("memo_data", **labels)
        self.world = World(root / "volumes", services)
        self.world.commands |= {"lock": self._lock, "unlock": self._unlock}
        self.world.done.clear()
        self.stack = opened(root, self.world)

    def _lock(self, _asked: Container) -> Output:
        self.locked = True
        return Output(0, "", "")

    def _unlock(self, _asked: Container) -> Output:
        self.locked = False
        return Output(0, "", "")

    def write(self, lines: list[int]) -> None:
        for volume, number in zip(VOLUMES, lines, strict=True):
            self.world.write(volume, number)

    def lines(self) -> list[int]:
        return [self.world.lines(volume) for volume in VOLUMES]

    def sets(self) -> list[repository.BackupSet]:
        return repository.listed(self.stack.root / "backups", "trial")

    def restores(self) -> list[str]:
        """Return what restores keep in the volumes."""
        volumes = map(self.world.data, VOLUMES)
        return [str(p) for v in volumes for p in v.glob(".compose-ops-restore/*")]

    def assert_at_peace(self, step: str) -> None:
        """Assert that what ran runs, and nothing of a dead task is left."""
        states = {c.service: c.state for c in self.world.there}
        assert states == dict.fromkeys(("memo", "pair", "reader"), "running"), step
        assert set(self.world.made) == {f"trial_{v}" for v in VOLUMES}, step
        assert not self.locked, step
        assert journal.pending(self.stack) == (), step
        assert not list((self.stack.root / "backups").rglob(".partial-*")), step


Task = Callable[[StackContext], object]
Deaths = Callable[..., Iterator[tuple[str, Site]]]


@pytest.fixture
def deaths(
    tmp_path: Path,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> Deaths:
    """Let a task die at each step in turn; yield each, once a next task mended it."""
    del world  # only its patches are needed
    # A task's death is no power cut; what is written is there.
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    monkeypatch.setattr(staging, "_sync", lambda _volume: None)
    sites: list[Site] = []
    monkeypatch.setattr(
        journal, "reached", lambda step: sites[-1].world.happen("journal", step)
    )

    def each(
        prepare: Callable[[Site], object],
        task: Task,
        fault: BaseException | None = None,
    ) -> Iterator[tuple[str, Site]]:
        template = tmp_path / "template"
        sites.append(Site(template))
        prepare(sites[-1])
        for number in count():
            root = tmp_path / f"{number}"
            shutil.copytree(template, root)
            site = Site(root)
            site.world.there[:] = sites[0].world.there
            sites.append(site)
            site.world.fate = Fate(number, fault=fault)
            try:
                task(site.stack)
                met = site.world.fate.dies_at is None
            except (Killed, ComposeOpsError, KeyboardInterrupt):
                met = True
            if met:
                site.world.fate = Fate()
                step = f"{number}, after {site.world.done[-1:]}"
                recovery.recover(site.stack)
                site.assert_at_peace(step)
                yield step, site
                shutil.rmtree(root)
            else:
                assert number > 2
                return

    return each


def _live(site: Site) -> None:
    site.write(LIVE)


def _kept_then_live(site: Site) -> None:
    site.write(KEPT)
    back_up(site.stack)
    site.write(LIVE)


def _restored(site: Site) -> None:
    _kept_then_live(site)
    bring_back(site.stack)


def _back_up_crash(stack: StackContext) -> None:
    back_up(stack, consistency="crash")


def _back_up_stopped(stack: StackContext) -> None:
    back_up(stack, consistency="stop")


def drill(stack: StackContext) -> None:
    sets.drill(stack, "backups", set_id="", identity="")


@pytest.mark.parametrize("task", [back_up, _back_up_crash, _back_up_stopped])
def test_backup_that_dies_anywhere_is_put_right(deaths: Deaths, task: Task) -> None:
    """Locked, paused or stopped: all is as before, and a set is whole or none."""
    for step, site in deaths(_live, task):
        assert site.lines() == LIVE, step
        for kept in site.sets():
            assert repository.valid_manifest(kept).size > 0, step
            site.write(KEPT)
            bring_back(site.stack, set_id=kept.id)
            assert site.lines() == LIVE, step


def test_restore_that_dies_anywhere_ends_old_or_new(
    deaths: Deaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of its volumes; what was before can be brought back, or never went."""
    monkeypatch.setattr(verify, "check_archive", lambda *_: None)
    seen = set()
    for step, site in deaths(_kept_then_live, bring_back):
        found = site.lines()
        seen.add(tuple(found))
        if found == KEPT:
            restore_undo.undo(site.stack, (), yes=True)
        else:
            assert restore_points.listed(site.stack) == (), step
            assert site.restores() == [], step
        assert site.lines() == LIVE, step
    assert seen == {tuple(KEPT), tuple(LIVE)}


def test_undo_that_dies_anywhere_can_be_done_again(deaths: Deaths) -> None:
    """It ends before or after; nothing of either is lost."""
    seen = set()
    for step, site in deaths(
        _restored, lambda stack: restore_undo.undo(stack, (), yes=True)
    ):
        before = site.lines()
        seen.add(tuple(before))
        restore_undo.undo(site.stack, (), yes=True)
        assert sorted([before, site.lines()]) == [KEPT, LIVE], step
    assert seen == {tuple(KEPT), tuple(LIVE)}


def test_undo_of_one_service_that_dies_anywhere_leaves_the_other(
    deaths: Deaths,
) -> None:
    task = lambda stack: restore_undo.undo(stack, ["memo"], yes=True)  # noqa: E731
    for step, site in deaths(_restored, task):
        assert site.lines()[1:] == KEPT[1:], step
        restore_undo.undo(site.stack, ["pair"], yes=True)
        assert site.lines()[1:] == LIVE[1:], step


def test_discard_that_dies_anywhere_is_finished_by_the_next(deaths: Deaths) -> None:
    task = lambda stack: restore_undo.discard(stack, (), yes=True)  # noqa: E731
    for step, site in deaths(_restored, task):
        assert site.lines() == KEPT, step
        if restore_points.listed(site.stack):
            restore_undo.undo(site.stack, (), yes=True)
            assert site.lines() == LIVE, step
        restore_undo.discard(site.stack, (), yes=True)
        assert restore_points.listed(site.stack) == (), step
        assert site.restores() == [], step


def test_drill_that_dies_anywhere_leaves_nothing(
    deaths: Deaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "check_archive", lambda *_: None)
    for step, site in deaths(_kept_then_live, drill):
        assert site.lines() == LIVE, step


def test_prune_that_dies_leaves_whole_sets_and_the_next_finishes_it(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    del world
    for _ in range(3):
        newest = back_up(stack, "memo")
    place = stack.root / "backups"

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(shutil, "rmtree", killed)
        with pytest.raises(Killed):
            prune.prune(stack, place, Rules(last=1), yes=True)
    assert all(kept.manifest for kept in repository.listed(place, "trial"))

    prune.prune(stack, place, Rules(last=1), yes=True)

    assert [path.name for path in (place / "trial").iterdir()] == [newest]


FAULTS = [EngineError("no room"), KeyboardInterrupt()]


@pytest.mark.parametrize("fault", FAULTS, ids=["refused", "Ctrl-C"])
@pytest.mark.parametrize("task", [back_up, bring_back, drill])
def test_task_that_meets_a_fault_anywhere_puts_back_what_it_changed(
    deaths: Deaths, task: Task, fault: BaseException
) -> None:
    """At once; only what could not be put back waits for the next task."""
    for step, site in deaths(_kept_then_live, task, fault):
        assert site.lines() in (KEPT, LIVE), step
        if site.lines() == KEPT:
            restore_undo.undo(site.stack, (), yes=True)
        assert site.lines() == LIVE, step
        assert site.sets(), step


@pytest.mark.parametrize("step", ["after swapping", "after trying", "after committed"])
def test_mending_that_dies_anywhere_is_mended(deaths: Deaths, step: str) -> None:
    """The task that puts a dead restore right may die, too."""

    def die(site: Site) -> None:
        _kept_then_live(site)
        site.world.when["journal", step] = partial(setattr, site.world.fate, *DEAD)
        with pytest.raises(Killed):
            bring_back(site.stack)
        site.world.fate = Fate()

    for where, site in deaths(die, recovery.recover):
        assert site.lines() == (KEPT if step == "after committed" else LIVE), where


def _undo_restore(stack: StackContext) -> None:
    restore_undo.undo(stack, (), yes=True)


@pytest.mark.parametrize("task", [back_up, bring_back, _undo_restore])
def test_state_disk_that_is_full_from_anywhere_on_hinders_no_undo(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, task: Task
) -> None:
    """What ran runs again at once, on the data from before or on the restored one."""
    del world  # only its patches are needed
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    monkeypatch.setattr(staging, "_sync", lambda _volume: None)
    monkeypatch.setattr(verify, "check_archive", lambda *_: None)
    template = Site(tmp_path / "template")
    _restored(template)
    template.write(LATER)
    for number in count():
        root = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "template", root)
        site = Site(root)
        site.world.there[:] = template.world.there
        with monkeypatch.context() as patch, suppress(DataError):
            disk = FullDisk(patch, writes=number)
            task(site.stack)
        assert {c.state for c in site.world.there} == {"running"}, number
        found = site.lines()
        assert found in (KEPT, LIVE, LATER), number
        recovery.recover(site.stack)
        site.assert_at_peace(f"full from {number} on")
        assert site.lines() == found, number
        if not disk.refused:
            assert number > 3
            return
