"""What the helper writes, reads back, refuses and unpacks."""

import fcntl
import io
import json
import os
import stat
import struct
import subprocess
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import pytest
from jimbot_helper import checking, copying, headers, packing, staging, swapping
from jimbot_helper.failure import Failed, Refused
from jimbot_helper.screen import Screen

Change = Callable[[bytes], bytes]


def screen(*, files: int = 1000, size: int = 1 << 30) -> Screen:
    return Screen(files, size)


def packed(volume: Path, archive: Path, **options: object) -> dict[str, Any]:
    return copying.copy(
        volume,
        archive,
        **{  # type: ignore[arg-type]
            "compression": "zstd",
            "exclude": (),
            "order": (),
            "changes": "none",
            "progress": lambda _size: None,
        }
        | options,
    )


def checked(
    archive: Path, *, compression: str = "zstd", listing: Path | None = None
) -> dict[str, Any]:
    return checking.check(
        archive,
        compression=compression,
        screen=screen(),
        progress=lambda _size: None,
        listing=listing,
    )


def staged(volume: Path, archive: Path, sha256: str) -> Path:
    staging.stage(
        volume,
        archive,
        restore="r-1",
        compression="zstd",
        screen=screen(),
        sha256=sha256,
        progress=lambda _size: None,
    )
    return volume / swapping.HOLDER / "r-1" / "staged"


ACL_ACCESS, ACL_DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
# Version 2, then tag, permissions and id of each entry: owner, user 1234, group, mask,
# others; <linux/posix_acl_xattr.h>.
ENTRIES = ((1, 6, -1), (2, 6, 1234), (4, 4, -1), (16, 6, -1), (32, 4, -1))
ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *e) for e in ENTRIES)
# CAP_NET_BIND_SERVICE, permitted and effective; <linux/capability.h>, revision 2.
BIND_LOW_PORTS = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Return a folder with a file of every kind that a volume may hold."""
    top = tmp_path / "volume"
    (top / "deep" / "er").mkdir(parents=True)
    (top / "deep" / "er" / "file").write_bytes(os.urandom(70_000))
    (top / "empty").touch(mode=0o640)
    (top / "odd\nname \\ \"ü'").write_text("odd")
    (top / os.fsdecode(b"\xff\xfe bytes")).write_text("no text")
    (top / "-rf").write_text("looks like a flag")
    (top / ("long" * 40)).mkdir()
    (top / ("long" * 40) / ("name" * 50)).write_text("long")
    (top / "link").symlink_to("deep/er/file")
    (top / "dangling").symlink_to("/nowhere")
    (top / "twin").hardlink_to(top / "empty")
    os.mkfifo(top / "fifo")
    with (top / "sparse").open("wb") as file:
        file.write(b"head")
        file.seek(5 << 20)
        file.write(b"tail")
    os.setxattr(top / "-rf", "user.note", b"kept")
    os.setxattr(top / "-rf", ACL_ACCESS, ACL)
    os.setxattr(top / "deep", ACL_DEFAULT, ACL)
    if os.geteuid() == 0:
        os.setxattr(top / "deep/er/file", "security.capability", BIND_LOW_PORTS)
    os.utime(top / "empty", ns=(1_500_000_000_123_456_789, 1_500_000_000_123_456_789))
    return top


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
    (volume / swapping.HOLDER).mkdir()
    packed(volume, archive, exclude=["./deep/*"], compression="gzip")

    with tarfile.open(archive) as found:
        names = found.getnames()

    assert "./deep" in names
    assert not [n for n in names if "er" in n.split("/") or swapping.HOLDER in n]


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
    assert (
        checking.list_digest(listing, most_bytes=1 << 20) == sha256(lines).hexdigest()
    )
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
    assert checking.list_digest(listing, most_bytes=1 << 20) != noted
    with pytest.raises(Refused, match="longer than any real one"):
        checking.list_digest(listing, most_bytes=10)


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

    monkeypatch.setattr("jimbot_helper.copying.write", write)
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


def member(
    name: str, kind: bytes = tarfile.REGTYPE, **values: object
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in values.items():
        setattr(made, key, value)
    return made


def archive_of(path: Path, *members: tarfile.TarInfo, tail: bytes = b"") -> Path:
    """Write a tar of *members* (a file holds its size in zeros), zstd compressed."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as made:
        made.addfile(member("./", tarfile.DIRTYPE))
        for one in members:
            made.addfile(one, io.BytesIO(bytes(one.size)))
    plain = path.with_suffix(".tar")
    plain.write_bytes(raw.getvalue() + tail)
    os.system(f"zstd -q -f {plain} -o {path}")
    return path


HOSTILE: dict[str, tuple[tarfile.TarInfo, ...]] = {
    "absolute": (member("/etc/evil"),),
    "dot dot": (member("./../evil"),),
    "dot dot inside": (member("./a", tarfile.DIRTYPE), member("./a/../../evil")),
    "through a symlink": (
        member("./out", tarfile.SYMTYPE, linkname="/"),
        member("./out/evil"),
    ),
    "symlink replaced": (
        member("./out", tarfile.SYMTYPE, linkname="/etc/evil"),
        member("./out"),
    ),
    "hard link out": (member("./evil", tarfile.LNKTYPE, linkname="/etc/passwd"),),
    "hard link up": (member("./evil", tarfile.LNKTYPE, linkname="../../etc/passwd"),),
    "character device": (member("./evil", tarfile.CHRTYPE, devmajor=1, devminor=3),),
    "block device": (member("./evil", tarfile.BLKTYPE, devmajor=8),),
    "reserved": (member(f"./{swapping.HOLDER}", tarfile.DIRTYPE),),
    "pax name out": (member("./fine", pax_headers={"path": "/etc/evil"}),),
    "sparse name out": (member("./fine", pax_headers={"GNU.sparse.name": "../evil"}),),
    "unknown type": (member("./evil", b"V"),),
    "too many files": tuple(member(f"./{n}") for n in range(1001)),
    "too many bytes": (member("./bomb", size=2 << 20),),
    "a size below zero": (member("./a", pax_headers={"size": "-512"}),),
    "an owner that is no number": (member("./a", pax_headers={"uid": "root"}),),
    "a folder with contents": (member("./a", tarfile.DIRTYPE, size=512),),
    "a time that is no number": (member("./a", pax_headers={"mtime": '1","x":"'}),),
}


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


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archive_leaves_nothing(tmp_path: Path, name: str) -> None:
    """It is refused before tar sees the member, and what was unpacked is gone."""
    volume = tmp_path / "volume"
    volume.mkdir()
    archive = archive_of(tmp_path / "a.zst", *HOSTILE[name])

    with pytest.raises(Failed):
        staging.stage(
            volume,
            archive,
            restore="r-1",
            compression="zstd",
            screen=screen(size=1 << 20),
            sha256="",
            progress=lambda _size: None,
        )

    assert list(volume.iterdir()) == []


def plain_archive(*members: tarfile.TarInfo) -> bytes:
    """Return a tar of *members* as tar writes them: each with a time of its own."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as made:
        for one in members:
            one.mtime = 1_500_000_000.25
            made.addfile(one, io.BytesIO(b"x" * one.size))
    return raw.getvalue()


def compressed(path: Path, data: bytes) -> Path:
    path.write_bytes(subprocess.check_output(["zstd", "-q", "-c"], input=data))
    return path


@pytest.mark.parametrize("block", range(4))
def test_header_with_a_wrong_checksum_is_refused(tmp_path: Path, block: int) -> None:
    """Tar would look for the next header in what follows, past every screen."""
    members = member("./", tarfile.DIRTYPE), member("./file", size=700)
    data = bytearray(plain_archive(*members))
    assert checked(compressed(tmp_path / "a", bytes(data)))["files"] == 2
    heads = [n for n in range(0, len(data), 512) if data[n + 257 : n + 262] == b"ustar"]
    data[heads[block] + 1] ^= 1

    with pytest.raises(Refused, match="checksum"):
        checked(compressed(tmp_path / "b", bytes(data)))


def test_two_extended_headers_are_refused(tmp_path: Path) -> None:
    """Tar believes one of them; the screen must not believe the other."""
    top, file = member("./", tarfile.DIRTYPE), member("./file", size=700)
    data = plain_archive(top, file)
    extended = plain_archive(file)[: 2 * 512]
    at = data.index(b"mtime", 2 * 512) // 512 * 512 - 512
    twice = data[:at] + extended + data[at:]

    with pytest.raises(Refused, match="unknown type"):
        checked(compressed(tmp_path / "a", twice))


def test_short_way_to_read_a_header_reads_what_the_long_one_does(
    volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, short, long = (tmp_path / name for name in ("a", "short", "long"))
    packed(volume, archive)
    found = checked(archive, listing=short)

    monkeypatch.setattr(headers, "_USUAL", lambda _data, _at: None)

    assert found == checked(archive, listing=long)
    assert short.read_bytes() == long.read_bytes()


def test_second_archive_behind_the_first_is_refused(tmp_path: Path) -> None:
    other = archive_of(tmp_path / "b.zst", member("./evil")).with_suffix(".tar")
    archive = archive_of(tmp_path / "a.zst", tail=other.read_bytes())

    with pytest.raises(Refused, match="behind the end"):
        checked(archive)


def test_archive_that_changed_since_it_was_verified_is_not_unpacked(
    volume: Path, tmp_path: Path
) -> None:
    archive, other = tmp_path / "a", tmp_path / "other"
    other.mkdir()
    packed(volume, archive)

    with pytest.raises(Refused, match="changed"):
        staged(other, archive, "0" * 64)
    assert list(other.iterdir()) == []
