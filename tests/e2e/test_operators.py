"""Root's timer beside an operator of the docker group, on the same state and sets."""

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_site import Ledger, ledger

from compose_ops import Stack

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user"),
]

USER = 4321
SOCKET = Path("/var/run/docker.sock")
KEPT = (".compose-ops", "backups")


@pytest.fixture
def shop() -> Iterator[Ledger]:
    with tempfile.TemporaryDirectory(prefix="operators-") as top:
        Path(top).chmod(0o755)
        with ledger(Path(top) / "shop") as found:
            yield found


@pytest.fixture
def operator() -> tuple[int, int]:
    """Return a user of the docker group, and of no other."""
    return USER, SOCKET.stat().st_gid


def test_what_one_began_the_other_carries_on(
    shop: Ledger, operator: tuple[int, int]
) -> None:
    """With the folders that the documentation has made; nothing is open to others."""
    group = operator[1]
    for name in KEPT:
        made = ("install", "-d", "-m", "2770", "-g", str(group), shop.folder / name)
        subprocess.run(made, check=True)
    shop.task("up")
    shop.execute("touch", "/data/first")

    shop.task("backup", "--service", "ledger")
    shop.execute("touch", "/data/second")
    shop.task("backup", "--service", "ledger", user=operator)
    shop.execute("touch", "/data/third")
    shop.task("verify", user=operator)
    shop.task("restore", "--service", "ledger", "--yes")
    restored = shop.files()
    shop.task("restore", "--undo", "--yes", user=operator)

    assert restored == ["first", "second"]
    assert shop.files() == ["first", "second", "third"]
    assert len(Stack.open(shop.folder).backups()) == 2
    every = [p for name in KEPT for p in (shop.folder / name).rglob("*")]
    assert {p.stat().st_uid for p in every} == {0, USER}
    assert {p.stat().st_gid for p in every} == {group}
    assert {stat.S_IMODE(p.stat().st_mode) for p in every} <= {0o660, 0o2770}


def test_operator_who_may_not_write_is_told_where(
    shop: Ledger, operator: tuple[int, int]
) -> None:
    """Without them the state is root's; nothing is stopped or begun."""
    shop.task("up")
    shop.execute("touch", "/data/first")
    shop.task("backup", "--service", "ledger")
    started = shop.started()

    said = shop.task("backup", "--service", "ledger", user=operator, code=3)

    error, hint = said.splitlines()[-2:]
    assert error == "error: what tasks remember in .compose-ops is closed to this user"
    assert hint.startswith("hint: make it yours: ")
    assert shop.started() == started
