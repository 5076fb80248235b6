"""State files: whole or not at all, and nothing that lies on a disk is trusted."""

import errno
import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from compose_ops.errors import ConfigurationError, DataError
from compose_ops.state import store
from compose_ops.state.decode import decode
from compose_ops.state.store import StateFile


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Things:
    parts: tuple[Part, ...] = ()
    by_name: Mapping[str, float] = field(default_factory=dict)


FILE = StateFile("things.json", Things, version=2, without="things are looked up")
VALUE = Things((Part("a", 3), Part("b\nü")), {"x": 0.5})


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    assert FILE.load(folder) is None

    FILE.save(folder, VALUE)

    assert FILE.load(folder) == VALUE
    assert [path.name for path in folder.iterdir()] == ["things.json"]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_nobody_else_may_read_it(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        FILE.save(tmp_path / "state", VALUE)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state/things.json").stat().st_mode) == 0o600


DAMAGE: Mapping[str, bytes] = {
    "truncated": b'{"schema": 2, "parts": [{"na',
    "empty": b"",
    "a list": b"[1,2]",
    "a number": b"7",
    "binary": bytes(range(256)),
    "too deep": b"[" * 100_000,
    "a number of 5,000 digits": b'{"schema": 2, "parts": [' + b"9" * 5000 + b"]}",
    "a number of 400 digits": b'{"schema": 2, "by_name": {"a": ' + b"9" * 400 + b"}}",
    "a size of 20 digits": b'{"schema": 2, "parts": [{"name": "a", "size": '
    + b"9" * 20
    + b"}]}",
    "another type": b'{"schema": 2, "parts": "a"}',
    "true for a number": b'{"schema": 2, "parts": [{"name": "a", "size": true}]}',
    "a field that is unknown": b'{"schema": 2, "colour": "red"}',
    "no name": b'{"schema": 2, "parts": [{"size": 1}]}',
    "a schema of text": b'{"schema": "2"}',
    "a schema below one": b'{"schema": -1}',
    "too large": b" " * (store.MAX_BYTES + 1),
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_damaged_file_is_named_with_a_repair_that_works(
    tmp_path: Path, content: bytes
) -> None:
    """Exit code 7; what the hint says to type makes the next task go on."""
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    (folder / "things.json").write_bytes(content)

    with pytest.raises(DataError, match="is damaged") as refused:
        FILE.load(folder)

    assert "\n" not in str(refused.value.message)
    assert refused.value.exit_code == 7
    words, _, consequence = refused.value.hint.partition("; ")
    assert consequence == "things are looked up"
    assert os.system(words.removeprefix("set it aside: ")) == 0
    assert FILE.load(folder) is None


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_folder, _pipe, _link])
def test_what_is_no_regular_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "things.json")

    with pytest.raises(DataError, match="is damaged"):
        FILE.load(tmp_path)


def test_file_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "things.json").write_text('{"schema": 3, "colour": "red"}')

    with pytest.raises(DataError, match="newer version of compose-ops"):
        FILE.load(tmp_path)


def test_file_of_an_older_schema_is_upgraded(tmp_path: Path) -> None:
    """JSON of the version before has no schema, and may be no object."""

    def upgrade(schema: int, data: Any) -> Any:
        assert schema == 0
        return {"parts": [{"name": name} for name in data]}

    (tmp_path / "things.json").write_text('["a", "b"]')
    old = StateFile("things.json", Things, version=2, upgrade=upgrade)

    assert old.load(tmp_path) == Things((Part("a"), Part("b")))


def test_damaged_cache_is_replaced_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = StateFile("things.json", Things, without="asked again", is_cache=True)
    (tmp_path / "things.json").write_text("[1,2]")

    assert cache.load(tmp_path) is None
    assert "is damaged" in capsys.readouterr().err

    cache.save(tmp_path, VALUE)
    assert cache.load(tmp_path) == VALUE


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users")
def test_closed_file_is_named_with_its_repair(tmp_path: Path) -> None:
    FILE.save(tmp_path, VALUE)
    for folder in (tmp_path, *tmp_path.parents[:-1]):
        if folder.stat().st_uid == 0:
            folder.chmod(folder.stat().st_mode | 0o111)
    os.setresuid(65534, 65534, 0)
    try:
        with pytest.raises(ConfigurationError, match="closed to this user") as refused:
            FILE.load(tmp_path)
    finally:
        os.setresuid(0, 0, 0)

    assert "chown" in refused.value.hint


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    FILE.save(tmp_path, VALUE)
    _fails(monkeypatch, call)

    with pytest.raises(DataError, match="No space left on device") as refused:
        FILE.save(tmp_path, Things())

    monkeypatch.undo()
    assert str(tmp_path / "things.json") in refused.value.message
    assert FILE.load(tmp_path) == VALUE
    assert [path.name for path in tmp_path.iterdir()] == ["things.json"]


def _fails(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", refuse)
    else:
        monkeypatch.setattr(os, "fchmod", refuse)


def test_what_the_disk_changed_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read back before it takes the place of what was there."""
    FILE.save(tmp_path, VALUE)
    real = store.read_json
    monkeypatch.setattr(store, "read_json", lambda path: {**real(path), "parts": []})

    with pytest.raises(DataError, match="something else than was written"):
        FILE.save(tmp_path, Things((Part("new"),)))

    monkeypatch.undo()
    assert FILE.load(tmp_path) == VALUE


def test_what_its_own_reader_would_refuse_gets_no_name(tmp_path: Path) -> None:
    wrong: Any = Things(({"name": 7},))  # type: ignore[arg-type]

    with pytest.raises(DataError, match="7, not text"):
        FILE.save(tmp_path, wrong)

    assert not list(tmp_path.iterdir())


def test_link_in_place_of_the_partial_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "state").mkdir()
    (tmp_path / "state/.things.json.partial").symlink_to(victim)

    with pytest.raises(DataError):
        FILE.save(tmp_path / "state", VALUE)

    assert victim.read_text() == "precious"


KINDS: list[tuple[Any, Any, Any]] = [
    (1, float, 1.0),
    (None, int | None, None),
    ({"a": [1]}, dict[str, list[int]], {"a": [1]}),
    ("/x", Path, Path("/x")),
    ({"any": [1, {}]}, Any, {"any": [1, {}]}),
]


@pytest.mark.parametrize(("value", "kind", "expected"), KINDS)
def test_json_becomes_typed(value: Any, kind: Any, expected: Any) -> None:
    assert decode(json.loads(json.dumps(value)), kind) == expected


def test_refusal_names_the_place() -> None:
    wrong = {"parts": [{"name": "a"}, {"name": 7}]}

    with pytest.raises(ValueError, match=r"it\.parts\[1\]\.name is 7, not text"):
        decode(wrong, Things)
