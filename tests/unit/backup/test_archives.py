"""What the helper writes, reads back and unpacks."""

import fcntl
import json
import os
import stat
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import pytest
from archives import checked, packed, staged
from deep_folders import LEVELS, few_calls, nest
from volume_helper import (
    checking,
    copying,
    headers,
    packing,
    reserved,
    staging,
)
from volume_helper.failure import Failed, Refused


def state(top: Path) -> dict[str, tuple[object, ...]]:
    """Return kind, mode, owner, time, content and attributes of all below *top*."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [top, *sorted(top.rglob("*"))]:
        now = path.lstat()
        content: object = None
        if path.is_symlink():
            content = path.readlink()
        elif path.is_file():
            content = path.read_bytes()
        key = str(path.relative_to(top))
        links = 0 if path.is_dir() and not path.is_symlink() else now.st_nlink
        names = os.listxattr(path, follow_symlinks=False)
        more = {n: os.getxattr(path, n, follow_symlinks=False) for n in names}
        found[key] = (now.st_mode, now.st_uid, now.st_gid, links, content, more)
        if not path.is_symlink() and path != top:
            found[key] += (now.st_mtime_ns,)
    return found


def test_every_kind_of_file_comes_back(volume: Path, tmp_path: Path) -> None:
    """Modes, times, links, holes, attributes, ACLs and names of any bytes survive."""
    archive, other = tmp_path / "a", tmp_path / "other"
    other.mkdir()
    packed(volume, archive)

    came = staged(other, archive, str(checked(archive)["sha256"]))

    assert state(volume) == state(came)
    assert (came / "sparse").stat().st_blocks * 512 < 1 << 20


def test_the_command_of_the_readme_brings_all_back(
    volume: Path, tmp_path: Path
) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    [line] = [x for x in readme.splitlines() if x.startswith("zstd -dc memgraph_data")]
    archive, other = tmp_path / "memgraph_data.tar.zst", tmp_path / "DIR"
    other.mkdir()
    packed(volume, archive)

    subprocess.run(["sh", "-ec", line], cwd=tmp_path, check=True)

    assert state(volume) == state(other)


def test_plain_tools_open_an_archive(volume: Path, tmp_path: Path) -> None:
    """An archive is a tar file that Python's own module, or tar, can read."""
    archive = tmp_path / "a"
    packed(volume, archive, compression="gzip")

    with tarfile.open(archive) as found:
        names = found.getnames()

    assert "./deep/er/file" in names
    assert checked(archive, compression="gzip")["files"] == len(names)


def test_copy_follows_the_order(volume: Path) -> None:
    """Files are listed as the patterns say, folders before all of them."""
    names = copying.ordered_names(volume, ("**/file", "e*", "**"))
    files = [n for n in names if not (volume / os.fsdecode(n)).is_dir()]

    assert files[:2] == [b"deep/er/file", b"empty"]
    assert names[0] == b"."


def test_excluded_and_reserved_paths_stay_out(volume: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a"
    (volume / reserved.HOLDER).mkdir()
    packed(volume, archive, exclude=["./deep/*"], compression="gzip")

    with tarfile.open(archive) as found:
        names = found.getnames()

    assert "./deep" in names
    assert not [n for n in names if "er" in n.split("/") or reserved.HOLDER in n]


@pytest.mark.parametrize("tenth", range(10))
def test_archive_cut_at_any_tenth_is_refused(
    volume: Path, tmp_path: Path, tenth: int
) -> None:
    archive = tmp_path / "a"
    packed(volume, archive)
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) * tenth // 10])

    with pytest.raises(Refused):
        checked(archive)


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.99])
def test_one_flipped_bit_is_noticed(volume: Path, tmp_path: Path, place: float) -> None:
    """The decompressor refuses it, or the hash is another."""
    archive = tmp_path / "a"
    packed(volume, archive)
    before = checked(archive)["sha256"]
    data = bytearray(archive.read_bytes())
    data[int(len(data) * place)] ^= 1
    archive.write_bytes(data)

    try:
        after = checked(archive)["sha256"]
    except Refused:
        return
    assert before != after


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_the_list_holds_every_member_and_its_hash(
    volume: Path, tmp_path: Path, compression: str
) -> None:
    """What is noted of an archive equals what lies in the volume, file by file."""
    archive, listing = tmp_path / "a", tmp_path / "list"
    packed(volume, archive, compression=compression)

    found = checked(archive, compression=compression, listing=listing)

    lines = subprocess.check_output(["zstd", "-dc", listing])
    noted = [json.loads(line) for line in lines.splitlines()]
    assert sha256(lines).hexdigest() == found["listing"]["sha256"]
    assert checking.list_digest(listing, max_bytes=1 << 20) == sha256(lines).hexdigest()
    assert len(noted) == found["files"] == 1 + sum(1 for _ in volume.rglob("*"))
    for one in noted:
        path = volume / one["path"]
        if one["type"] == "file" and "sparse" not in one and path.exists():
            assert one["sha256"] == sha256(path.read_bytes()).hexdigest()
            assert one["mtime"] == nanoseconds(path)
            assert int(one["mode"], 8) == stat.S_IMODE(path.stat().st_mode)


def nanoseconds(path: Path) -> str:
    """Return a file's time as tar writes it: no zeros at the end."""
    whole, rest = divmod(path.stat().st_mtime_ns, 10**9)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def test_list_that_was_changed_is_noticed(volume: Path, tmp_path: Path) -> None:
    archive, listing = tmp_path / "a", tmp_path / "list"
    packed(volume, archive)
    found = checked(archive, listing=listing)
    lines = subprocess.check_output(["zstd", "-dc", listing])
    listing.write_bytes(subprocess.check_output(["zstd", "-c"], input=lines[:-9]))

    noted = found["listing"]["sha256"]
    assert checking.list_digest(listing, max_bytes=1 << 20) != noted
    with pytest.raises(Refused, match="longer than any real one"):
        checking.list_digest(listing, max_bytes=10)


def test_full_destination_is_named(volume: Path, tmp_path: Path) -> None:
    """Also when the stream is longer than what the pipes hold."""
    (volume / "big").write_bytes(os.urandom(8 << 20))
    (tmp_path / "a").symlink_to("/dev/full")

    with pytest.raises(Failed, match="is the destination full"):
        packed(volume, tmp_path / "a")


def test_device_in_a_volume_is_named(volume: Path, tmp_path: Path) -> None:
    """What no restore would unpack is refused before a copy becomes a set."""
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(volume / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))

    packed(volume, tmp_path / "a")
    with pytest.raises(Refused, match="null is a character device"):
        checked(tmp_path / "a")


def test_files_that_come_and_go_are_seen(
    volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy in a given order says whether the names were the same afterwards."""
    assert packed(volume, tmp_path / "a", order=["**"])["settled"]
    writing = packing.write

    def write(*words: Any) -> bool:
        whole = writing(*words)
        (volume / "came").touch()
        return whole

    monkeypatch.setattr("volume_helper.copying.write", write)
    assert not packed(volume, tmp_path / "a", order=["**"])["settled"]


@pytest.mark.parametrize(
    ("changes", "settled"), [("growth", False), ("any", True), ("none", None)]
)
def test_file_that_goes_before_it_is_read_is_seen(
    volume: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: str,
    settled: object,
) -> None:
    """A native copy is made again, also where the file has come back meanwhile."""
    walk = copying.ordered_names
    monkeypatch.setattr(
        copying, "ordered_names", lambda *words: [*walk(*words), b"gone"]
    )
    how = {"order": ["**"], "changes": changes}

    if settled is None:
        with pytest.raises(Failed, match="gone"):
            packed(volume, tmp_path / "a", **how)
    else:
        assert packed(volume, tmp_path / "a", **how)["settled"] is settled


def test_narrow_pipe_unpacks_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel grants no wide one; tar leaves what follows its end marker."""

    def narrow(pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)

    monkeypatch.setattr(staging, "widen", narrow)
    volume, archive = tmp_path / "volume", tmp_path / "a.zst"
    volume.mkdir()
    (volume / "file").write_text("content")
    packed(volume, archive)

    target = staged(volume, archive, sha256(archive.read_bytes()).hexdigest())

    assert (target / "file").read_text() == "content"


def test_short_way_to_read_a_header_reads_what_the_long_one_does(
    volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, short, long = (tmp_path / name for name in ("a", "short", "long"))
    packed(volume, archive)
    found = checked(archive, listing=short)

    monkeypatch.setattr(headers, "_USUAL", lambda _data, _at: None)

    assert found == checked(archive, listing=long)
    assert short.read_bytes() == long.read_bytes()


def test_archive_that_changed_since_it_was_verified_is_not_unpacked(
    volume: Path, tmp_path: Path
) -> None:
    archive, other = tmp_path / "a", tmp_path / "other"
    other.mkdir()
    packed(volume, archive)

    with pytest.raises(Refused, match="changed"):
        staged(other, archive, "0" * 64)
    assert list(other.iterdir()) == []


def test_deep_folders_are_archived_and_unpacked(tmp_path: Path) -> None:
    volume, other, archive = tmp_path / "v", tmp_path / "other", tmp_path / "a"
    other.mkdir()
    nest(volume).joinpath("link").symlink_to("file")
    path = "d/" * LEVELS + "link"

    with few_calls():
        packed(volume, archive, order=["**"])
        came = staged(other, archive, str(checked(archive)["sha256"]))
        assert copying.links(volume, ["**/link", "d/*"]) == [path]

    assert (came / path).is_symlink()


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["link"], ["link"]),
        (["a/*"], ["a/link"]),
        (["*/link"], ["a/link"]),
        (["**/link"], ["a/b/link", "a/link", "link"]),
        (["file", "a"], []),
        ([], []),
    ],
)
def test_links_are_found_that_lead_to_nothing_here(
    tmp_path: Path, patterns: list[str], found: list[str]
) -> None:
    """The helper has just the volume. What restores keep there is no data."""
    (tmp_path / "file").touch()
    for folder in ("", "a", "a/b", f"{reserved.HOLDER}/r-1/previous"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "link").symlink_to("/nowhere")

    assert copying.links(tmp_path, patterns) == found
