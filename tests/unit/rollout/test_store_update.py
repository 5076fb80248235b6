"""A store's data goes back with its image: after the new version, before the old."""

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from composing import UPDATED, Composing, opened
from full_disk import FullDisk

from compose_ops.backup.update_points import Cost
from compose_ops.composition import Operations
from compose_ops.errors import (
    ComposeOpsError,
    ConfigurationError,
    DataError,
    EngineError,
    RolledBack,
    UsageError,
)
from compose_ops.rollout import journal, undo, update
from compose_ops.rollout.store_update import tagged
from compose_ops.rollout.update import UpdateRequest
from compose_ops.runtime.context import StackContext

pytestmark = pytest.mark.usefixtures("quick_update")

STORE = {"image": "store:1", "build": {"context": "."}, "deploy": UPDATED}
NEW = "sha256:built"
BUILD = UpdateRequest(build=True)


class Killed(BaseException):
    """The end of a process in the middle of something."""


@dataclass
class Points:
    """Restore points of one store, whose data every version writes its image to."""

    engine: Composing
    room: bool = True
    broken: bool = False
    data: str = "old"
    kept: dict[str, str] = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)

    def has_data(self, _stack: StackContext, service: str) -> bool:
        return service == "store"

    def measure(self, _stack: StackContext, _service: str) -> Cost:
        if not self.room:
            raise DataError("no room for a restore point of store")
        return Cost(5 << 30, 9 << 30, 42.0, shared=False)

    def accept(self, _stack: StackContext, _service: str, set_id: str) -> str:
        self.kept[f"SET:{set_id}"] = "of the set"
        return f"SET:{set_id}"

    def make(self, _stack: StackContext, _service: str, point: str) -> None:
        self._require_rest()
        self.kept.setdefault(point, self.data)

    def bring_back(self, _stack: StackContext, _service: str, point: str) -> None:
        self._require_rest()
        if self.broken:
            raise DataError("the copy is gone")
        self.data = self.kept[point]

    def keep(self, _stack: StackContext, _service: str, point: str) -> None:
        self.listed.append(point)

    def drop(self, _stack: StackContext, _service: str, point: str) -> None:
        self.kept.pop(point, None)

    def version(self, _stack: StackContext, _service: str, image: str) -> str:
        return "2.0" if image == NEW else "1.9"

    def _require_rest(self) -> None:
        assert not [c for c in self.engine.there if c.is_running]


class Store(Composing):
    """One store; a version that starts writes to its data, the new one fails or not."""

    points: Points

    def start(self, *containers: str) -> None:
        super().start(*containers)
        if any(c.image_id == NEW for c in self._those(containers)):
            self.points.data = "spoiled"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Store:
    engine = Store({"store": STORE})
    engine.points = Points(engine)
    engine.run_all()
    points = property(lambda _self: engine.points)
    monkeypatch.setattr(Operations, "store_points", points)
    return engine


def run(root: Path, engine: Store, request: UpdateRequest = BUILD) -> Any:
    return update.update(opened(root, engine), "store", request)


def test_a_version_that_fails_takes_what_it_wrote_with_itself(
    engine: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.bad.add(NEW)

    with pytest.raises(RolledBack, match="data is that from before the update"):
        run(tmp_path, engine)

    assert engine.points.data == "old"
    assert engine.running("store") == {"sha256:store:1-1"}
    said = capsys.readouterr().err
    assert "5.0 GiB (9.0 GiB free), about 42 s more of downtime" in said
    assert "from 1.9 to 2.0, another major version" in said
    assert journal.read(opened(tmp_path, engine).state) is None


def test_a_good_version_leaves_its_restore_point(engine: Store, tmp_path: Path) -> None:
    run(tmp_path, engine)

    assert engine.points.data == "spoiled"
    assert engine.points.listed == list(engine.points.kept)


def test_there_must_be_room_before_anything_stops(
    engine: Store, tmp_path: Path
) -> None:
    engine.points.room = False
    before = list(engine.there)

    with pytest.raises(DataError, match="no room"):
        run(tmp_path, engine)

    assert engine.there == before


def test_a_set_stands_in_for_a_copy(engine: Store, tmp_path: Path) -> None:
    engine.bad.add(NEW)

    with pytest.raises(RolledBack):
        run(tmp_path, engine, UpdateRequest(build=True, restore_point="one"))

    assert engine.points.data == "of the set"


def test_a_version_that_never_started_costs_no_data(
    engine: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written since the set was taken stays where nothing spoiled it."""

    def refused(*_words: Any, **_how: Any) -> None:
        raise EngineError("no space left on device")

    monkeypatch.setattr(engine, "up", refused)

    with pytest.raises(RolledBack, match="no space left"):
        run(tmp_path, engine, UpdateRequest(build=True, restore_point="one"))

    assert engine.points.data == "old"
    assert engine.running("store") == {"sha256:store:1-1"}


def test_without_a_point_the_risk_is_said(
    engine: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.bad.add(NEW)

    with pytest.raises(RolledBack):
        run(tmp_path, engine, UpdateRequest(build=True, no_restore_point=True))

    assert engine.points.data == "spoiled"
    assert "the old one starts on what is then there" in capsys.readouterr().err


def test_no_version_starts_on_data_that_did_not_come_back(
    engine: Store, tmp_path: Path
) -> None:
    """The next task tries it again, and then the old one starts."""
    engine.bad.add(NEW)
    engine.points.broken = True

    with pytest.raises(RolledBack, match="the copy is gone"):
        run(tmp_path, engine)
    assert engine.running("store") == set()

    engine.points.broken = False
    update.clean_up(opened(tmp_path, engine))

    assert engine.points.data == "old"
    assert engine.running("store") == {"sha256:store:1-1"}


def test_wherever_an_update_is_killed_data_and_image_are_of_one_version(
    engine: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each boundary of the journal, until there is none any more."""
    note, boundary = journal.Journal.note, 0
    while True:
        boundary += 1
        left = [boundary]

        def dying(book: journal.Journal, step: str, left: list[int] = left) -> None:
            note(book, step)
            left[0] -= 1
            if not left[0]:
                raise Killed

        engine.points.data = "old"
        with monkeypatch.context() as patch:
            patch.setattr(journal.Journal, "note", dying)
            patch.setattr(update, "tag_returns", _nothing)
            patch.setattr("compose_ops.rollout.executor.revert", _killed)
            try:
                run(tmp_path, engine, UpdateRequest(build=True))
            except Killed:
                pass
            else:
                break
        update.clean_up(opened(tmp_path, engine))

        images = engine.running("store")
        assert images in ({NEW}, {"sha256:store:1-1"}), boundary
        assert engine.points.data == ("spoiled" if images == {NEW} else "old")
        if images == {NEW}:
            engine.next_build = f"sha256:built-{boundary}"
            break
    assert boundary > 8


@pytest.mark.parametrize("set_", ["", "one"])
def test_state_disk_that_is_full_from_anywhere_on_keeps_no_old_version_stopped(
    engine: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_: str
) -> None:
    """Nor does the next task replace what that one wrote since."""
    engine.bad.add(NEW)
    request = UpdateRequest(build=True, restore_point=set_)
    monkeypatch.setattr(undo, "remove_strays", _refused)
    for number in count():
        engine.points.data = "old"
        with monkeypatch.context() as patch:
            disk = FullDisk(patch, writes=number)
            with pytest.raises(ComposeOpsError):
                run(tmp_path / f"{number}", engine, request)
        assert engine.points.data in {"old", "of the set"}, number
        assert engine.running("store") == {"sha256:store:1-1"}, number
        if not disk.refused:
            assert number > 8
            return
        engine.stop(*(c.id for c in engine.there))
        engine.points.data = "written since"
        update.clean_up(opened(tmp_path / f"{number}", engine))
        assert engine.points.data == "written since", number
        engine.start(*(c.id for c in engine.there))


def _refused(*_words: Any) -> None:
    raise EngineError("refused")


def _killed(_update: Any, _probe: Any, error: BaseException, _settle: Any) -> Any:
    raise error


def _nothing(_engine: Any, _book: Any) -> Any:
    from contextlib import nullcontext

    return nullcontext()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"restore_point": "one", "no_restore_point": True}, "exclude each other"),
        ({"restore_point": "one"}, "declares no data"),
    ],
)
def test_flags_that_make_no_sense_are_refused(
    engine: Store, tmp_path: Path, request_: dict[str, Any], message: str
) -> None:
    engine.services = {"app": {**STORE, "image": "store:1"}}

    with pytest.raises(UsageError, match=message):
        update.update(opened(tmp_path, engine), "app", UpdateRequest(**request_))


def test_replicas_that_would_run_meanwhile_are_refused(
    engine: Store, tmp_path: Path
) -> None:
    """They write to the same data."""
    deploy = {**UPDATED, "replicas": 2}
    engine.services = {"store": {**STORE, "deploy": deploy}}
    engine.run_all()

    with pytest.raises(ConfigurationError, match="share its data"):
        run(tmp_path, engine)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("postgres:15.4-bookworm", "15.4"),
        ("registry.example:5000/app:v2", "2"),
        ("app:latest", ""),
        ("localhost:5000/app", ""),
        ("app:1.2@sha256:00", "1.2"),
    ],
)
def test_a_version_is_read_from_a_tag(image: str, version: str) -> None:
    assert tagged(image) == version
