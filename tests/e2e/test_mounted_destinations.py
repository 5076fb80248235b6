"""Destinations that keep no modes or owners, as network shares do: bindfs, by FUSE."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import debian_packages
import pytest
from ledger_site import Ledger, ledger

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(
        os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK),
        reason="mounts by FUSE",
    ),
]


@pytest.fixture(scope="module")
def bindfs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """Return Debian's bindfs and its environment, unpacked when not installed."""
    if installed := shutil.which("bindfs"):
        return installed, dict(os.environ)
    folder = tmp_path_factory.mktemp("bindfs")
    needs = subprocess.check_output(["apt-cache", "depends", "bindfs"], text=True)
    packages = ["bindfs", *re.findall(r"Depends: (libfuse\S+)", needs)]
    root = debian_packages.unpacked(folder, *packages)
    libraries = debian_packages.libraries(root)
    return str(root / "usr/bin/bindfs"), {**os.environ, "LD_LIBRARY_PATH": libraries}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Return a running project whose store has a file."""
    with ledger(tmp_path_factory.mktemp("mounted") / "shop") as found:
        found.task("up")
        found.execute("touch", "/data/first")
        yield found


@contextmanager
def mounted(
    bindfs: tuple[str, dict[str, str]], folder: Path, *options: str
) -> Iterator[Path]:
    """Yield an empty folder that is seen through bindfs."""
    program, environment = bindfs
    behind, seen = folder / "behind", folder / "seen"
    for path in (behind, seen):
        path.mkdir()
    subprocess.run([program, *options, behind, seen], env=environment, check=True)
    try:
        yield seen
    finally:
        subprocess.run(["umount", seen], check=True)


def test_set_is_made_where_every_owner_is_nobody(
    shop: Ledger, bindfs: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    """As root is on an NFS export; it is read back, and restored from."""
    squashed = ("--force-user=nobody", "--force-group=nogroup", "--chown-ignore")
    with mounted(bindfs, tmp_path, *squashed) as there:
        where = ("--dest", str(there))

        shop.task("backup", "--service", "ledger", *where)
        shop.task("verify", *where)
        shop.execute("rm", "/data/first")
        shop.task("restore", "--service", "ledger", "--yes", *where)

        assert shop.files() == ["first"]
        shop.task("restore", "--discard", "--yes", *where)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--perms=a+rwX", "--chmod-ignore"), "(fuse) keeps no modes: "),
        (("--rename-deny",), "(fuse) renames no files: Operation not permitted"),
        (("-r",), "cannot be written: Read-only file system"),
    ],
    ids=["open to everybody", "no renames", "read-only"],
)
def test_filesystem_that_cannot_keep_a_set_is_named(
    shop: Ledger,
    bindfs: tuple[str, dict[str, str]],
    tmp_path: Path,
    options: tuple[str, ...],
    word: str,
) -> None:
    """Nothing of a set is left behind, and the store was not stopped."""
    started = shop.started()
    with mounted(bindfs, tmp_path, *options) as there:
        said = shop.task("backup", "--service", "ledger", "--dest", str(there), code=7)

        assert word in said
        assert list((tmp_path / "behind").rglob("*-*")) == []
    assert shop.started() == started
