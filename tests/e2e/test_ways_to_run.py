"""Backups as people run them: odd paths, any umask, no home, no terminal, no output."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from ledger_site import Ledger, ledger
from repository import ROOT

from compose_ops import Stack

pytestmark = pytest.mark.docker

# Quotes, commas, a variable, letters beyond ASCII, a line of its own, an option.
ODD = 'it\'s a "shop", $HOME; ünï\n--rm'
BARE = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


@dataclass
class Shop(Ledger):
    """The project in a folder of an odd name, with two files of data."""

    @property
    def destination(self) -> Path:
        return self.folder.with_name(f"{ODD} sets")

    def run(
        self,
        *words: str,
        umask: int = 0o022,
        more: Mapping[str, str] | None = None,
        shell: str = 'exec "$@"',
    ) -> bytes:
        """Run a task in a bare environment, and require that it succeeds."""
        task = [sys.executable, "-m", "compose_ops", *words]
        done = subprocess.run(
            ["sh", "-c", shell, "sh", *task],
            cwd=self.folder,
            env={**BARE, **(more or {})},
            umask=umask,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert b"Traceback" not in done.stderr
        return done.stdout

    def sets(self) -> int:
        return len(Stack.open(self.folder).backups(dest=str(self.destination)))

    def open_to_others(self) -> list[Path]:
        """Return what of state and sets others may read or write."""
        kept = [self.destination, self.folder / ".compose-ops"]
        every = [path for top in kept for path in (top, *top.rglob("*"))]
        return [p for p in every if not p.is_symlink() and p.lstat().st_mode & 0o007]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with ledger(tmp_path_factory.mktemp("odd") / ODD) as made:
        found = Shop(made.folder, made.name)
        found.run("up")
        found.execute("touch", "/data/a", "/data/b")
        yield found


def test_set_of_an_odd_folder_is_taken_and_restored_as_any_other(shop: Shop) -> None:
    where = ("--dest", str(shop.destination))

    shop.run("backup", "--service", "ledger", *where)
    shop.execute("rm", "/data/a")
    shop.run("verify", *where)
    shop.run("restore", "--service", "ledger", "--yes", *where)

    assert shop.files() == ["a", "b"]
    shop.run("restore", "--undo", "--yes")
    assert shop.files() == ["b"]
    shop.run("restore", "--discard", "--yes")


@pytest.mark.parametrize(
    ("umask", "more", "shell"),
    [
        (0o000, {"LANG": "C", "TERM": "dumb"}, 'exec "$@" <&-'),
        (0o077, {"HOME": "/nonexistent"}, 'exec "$@" >&-'),
        (0o027, {"LC_ALL": "C.UTF-8", "HOME": ""}, 'exec "$@" >/dev/full'),
    ],
    ids=["open umask, no stdin", "closed umask, no stdout", "full disk for stdout"],
)
def test_set_is_whole_and_closed_to_others_however_it_is_run(
    shop: Shop, umask: int, more: dict[str, str], shell: str
) -> None:
    """As a timer does it, or a script that has lost its terminal."""
    where = ("--dest", str(shop.destination))
    before = shop.sets()

    shop.run(
        "backup", "--service", "ledger", *where, umask=umask, more=more, shell=shell
    )

    assert shop.sets() == before + 1
    assert shop.open_to_others() == []
