"""What the helper refuses to unpack: archives that somebody made to do harm."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from archives import checked, screen
from volume_helper import reserved, staging
from volume_helper.failure import Failed, Refused


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
    "reserved": (member(f"./{reserved.HOLDER}", tarfile.DIRTYPE),),
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
    data[heads[block] + 3] ^= 1

    with pytest.raises(Refused, match="checksum"):
        checked(compressed(tmp_path / "b", bytes(data)))


def test_checksum_that_only_wraps_to_the_right_one_is_refused(tmp_path: Path) -> None:
    """The sum of this header is 65521 more than its checksum says."""
    name = b"./" + b"\xff" * 97
    data = bytearray(plain_archive(member("./", tarfile.DIRTYPE), member("./file")))
    at = data.rindex(b"./file\0") // 512 * 512
    head = bytearray(data[at : at + 512])
    head[: len(name)], head[148:156] = name, b" " * 8
    for start, end in ((157, 257), (265, 337), (500, 512)):
        head[start:end] = b"\xff" * (end - start)
    head[148:156] = b"%06o\0 " % (sum(head) - 65521)
    data[at : at + 512] = head

    with pytest.raises(Refused, match="checksum"):
        checked(compressed(tmp_path / "a", bytes(data)))


def test_two_extended_headers_are_refused(tmp_path: Path) -> None:
    """Tar believes one of them; the screen must not believe the other."""
    top, file = member("./", tarfile.DIRTYPE), member("./file", size=700)
    data = plain_archive(top, file)
    extended = plain_archive(file)[: 2 * 512]
    at = data.index(b"mtime", 2 * 512) // 512 * 512 - 512
    twice = data[:at] + extended + data[at:]

    with pytest.raises(Refused, match="unknown type"):
        checked(compressed(tmp_path / "a", twice))


def test_second_archive_behind_the_first_is_refused(tmp_path: Path) -> None:
    other = archive_of(tmp_path / "b.zst", member("./evil")).with_suffix(".tar")
    archive = archive_of(tmp_path / "a.zst", tail=other.read_bytes())

    with pytest.raises(Refused, match="behind the end"):
        checked(archive)
