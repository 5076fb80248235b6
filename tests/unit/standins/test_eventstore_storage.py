"""The EventStoreDB stand-in's files: checkpoints, chunks, and the order of a copy."""

import shutil
import struct
from pathlib import Path

import pytest
from eventstore_standin.log import LogDamagedError
from eventstore_standin.streams import ANY_VERSION, NewEvent, Streams

CHUNK = 1000  # bytes; a few events


def open_streams(root: Path) -> Streams:
    root.mkdir(exist_ok=True)
    streams = Streams.open(root, root / "index", chunk_size=CHUNK)
    streams.write_index()
    return streams


def append(streams: Streams, *numbers: int) -> None:
    for number in numbers:
        event = NewEvent(str(number), "made", {"n": number})
        streams.append("s", [event], expected=ANY_VERSION, created="now")


def numbers(streams: Streams) -> list[int]:
    return [event["data"]["n"] for event in streams.read("s", range(1000))]


def position(path: Path) -> int:
    return int(struct.unpack("<q", path.read_bytes())[0])


def copy(source: Path, target: Path, *patterns: str) -> None:
    """Copy what matches, as one step of a backup does."""
    for pattern in patterns:
        for path in source.glob(pattern):
            if path.is_file():
                place = target / path.relative_to(source)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)


def test_the_layout_is_eventstores(tmp_path: Path) -> None:
    """A backup names these files."""
    append(open_streams(tmp_path), *range(20))
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}

    checkpoints = {
        f"{n}.chk" for n in ("chaser", "epoch", "proposal", "truncate", "writer")
    }
    assert checkpoints <= names
    assert {"chunk-000000.000000", "chunk-000001.000000"} <= names
    assert (
        position(tmp_path / "writer.chk") == position(tmp_path / "chaser.chk") > CHUNK
    )
    assert position(tmp_path / "truncate.chk") == -1
    assert list((tmp_path / "index").rglob("*.chk"))


def test_events_survive_without_a_stop(tmp_path: Path) -> None:
    """What `append` returned for is on the disk, over several chunks."""
    append(open_streams(tmp_path), *range(20))
    append(open_streams(tmp_path), *range(20, 30))

    assert numbers(open_streams(tmp_path)) == list(range(30))


def test_what_lies_behind_the_writer_is_cut(tmp_path: Path) -> None:
    """The tail of a killed append was never acknowledged."""
    append(open_streams(tmp_path), 0)
    with (tmp_path / "chunk-000000.000000").open("ab") as stream:
        stream.write(b"half an event")
    append(open_streams(tmp_path), 1)

    assert numbers(open_streams(tmp_path)) == [0, 1]


def test_the_documented_order_gives_a_sound_copy(tmp_path: Path) -> None:
    """Index checkpoints, index, checkpoints, chunks; events in between are left out."""
    live, target = tmp_path / "live", tmp_path / "copy"
    streams = open_streams(live)
    append(streams, *range(10))
    for step, patterns in enumerate(
        [("index/**/*.chk",), ("index/**/*",), ("*.chk",), ("chunk-*.*",)]
    ):
        copy(live, target, *patterns)
        append(streams, *range(10 + 10 * step, 20 + 10 * step))
        streams.write_index()

    restored = open_streams(target)
    assert numbers(restored) == list(range(30))
    append(restored, 77)
    assert numbers(open_streams(target))[-1] == 77


def test_the_chaser_over_truncate_gives_the_chasers_events(tmp_path: Path) -> None:
    """The last step of a restore: nothing behind `chaser.chk` is left."""
    append(open_streams(tmp_path), *range(12))
    chaser = (tmp_path / "chaser.chk").read_bytes()
    append(open_streams(tmp_path), 12, 13)
    (tmp_path / "truncate.chk").write_bytes(chaser)

    assert numbers(open_streams(tmp_path)) == list(range(12))
    assert position(tmp_path / "truncate.chk") == -1
    assert position(tmp_path / "writer.chk") == struct.unpack("<q", chaser)[0]


@pytest.mark.parametrize("more", [1, 20])
def test_chunks_before_checkpoints_are_refused(tmp_path: Path, more: int) -> None:
    """The wrong order: `writer.chk` points at what the chunks do not hold."""
    live, target = tmp_path / "live", tmp_path / "copy"
    streams = open_streams(live)
    append(streams, 0)
    copy(live, target, "chunk-*.*")
    append(streams, *range(1, 1 + more))
    copy(live, target, "*.chk", "index/**/*")

    with pytest.raises(LogDamagedError):
        open_streams(target)
    shutil.copyfile(target / "chaser.chk", target / "truncate.chk")
    with pytest.raises(LogDamagedError):
        open_streams(target)


def test_a_chaser_ahead_of_the_writer_is_refused(tmp_path: Path) -> None:
    """Copied after a writer.chk of an earlier moment."""
    streams = open_streams(tmp_path)
    append(streams, 0)
    writer = (tmp_path / "writer.chk").read_bytes()
    append(streams, 1)
    (tmp_path / "writer.chk").write_bytes(writer)

    with pytest.raises(LogDamagedError, match="ahead"):
        open_streams(tmp_path)


@pytest.mark.parametrize("number", [0, 1])
def test_a_missing_or_damaged_chunk_is_refused(tmp_path: Path, number: int) -> None:
    """Also in the middle, where no checkpoint points."""
    append(open_streams(tmp_path), *range(20))
    path = tmp_path / f"chunk-00000{number}.000000"
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    with pytest.raises(LogDamagedError):
        open_streams(tmp_path)
    path.unlink()
    with pytest.raises(LogDamagedError):
        open_streams(tmp_path)


def test_a_checkpoint_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    """A truncated file is not taken for a position."""
    open_streams(tmp_path)
    (tmp_path / "writer.chk").write_bytes(b"\0" * 7)

    with pytest.raises(LogDamagedError, match="8"):
        open_streams(tmp_path)


def test_an_index_ahead_of_the_log_is_noticed(tmp_path: Path) -> None:
    """It was copied too late; the log alone decides what there is."""
    live, target = tmp_path / "live", tmp_path / "copy"
    streams = open_streams(live)
    append(streams, 0)
    copy(live, target, "*.chk", "chunk-*.*")
    append(streams, 1)
    streams.write_index()
    copy(live, target, "index/**/*")
    copied = Streams.open(target, target / "index", chunk_size=CHUNK)

    assert copied.index_is_ahead()
    copied.write_index()
    assert not copied.index_is_ahead()
    assert numbers(copied) == [0]


def test_an_append_is_one_piece(tmp_path: Path) -> None:
    """Several events of one request do not end in two chunks."""
    streams = open_streams(tmp_path)
    append(streams, *range(5))
    events = [NewEvent(f"m{n}", "made", {"n": n}) for n in (5, 6, 7)]
    streams.append("s", events, expected=ANY_VERSION, created="now")

    assert numbers(open_streams(tmp_path)) == list(range(8))
