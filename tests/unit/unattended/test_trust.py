"""What a job of root's runs and reads may be written to by root alone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from compose_ops.errors import ConfigurationError
from compose_ops.schedule import trust

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root owns root's files")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "tools").mkdir(parents=True)
    (folder / "compose.yaml").touch()
    (folder / "tools/module.py").touch()
    (folder / "link.toml").symlink_to(tmp_path / "elsewhere/real.toml")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/real.toml").touch()
    os.umask(0o022)
    return folder


def check(checkout: Path) -> None:
    own = [path for path in checkout.iterdir() if path.is_file()]
    trust.check((checkout, *own), trust.packages(checkout))


def open_to_all(path: Path) -> None:
    path.chmod(0o777)


def open_to_a_group(path: Path) -> None:
    os.chown(path, 0, 1000)
    path.chmod(0o775)


def given_away(path: Path) -> None:
    os.chown(path, 1000, 0)


def test_own_checkout_is_trusted(checkout: Path) -> None:
    check(checkout)


@pytest.mark.parametrize("change", [open_to_all, open_to_a_group, given_away])
@pytest.mark.parametrize(
    "place",
    [
        *(".", "..", "compose.yaml", "tools", "tools/module.py"),
        *("../elsewhere", "../elsewhere/real.toml"),
    ],
)
def test_place_that_others_may_write_to_is_named(
    checkout: Path, place: str, change: Callable[[Path], None]
) -> None:
    """The folder above a file counts as the file does, and so do those of a link."""
    path = (checkout / place).resolve()
    change(path)

    with pytest.raises(ConfigurationError) as refused:
        check(checkout)

    assert str(path) in str(refused.value)


def test_folder_such_as_tmp_lies_safely_above(checkout: Path, tmp_path: Path) -> None:
    """Nobody can rename what is root's in it, but it is no checkout itself."""
    tmp_path.chmod(0o1777)
    check(checkout)
    checkout.chmod(0o1777)

    with pytest.raises(ConfigurationError):
        check(checkout)


def test_data_of_containers_in_the_checkout_is_no_matter(checkout: Path) -> None:
    """A store's folder belongs to the store's user; nothing in it is run."""
    (checkout / "data").mkdir()
    given_away(checkout / "data")

    check(checkout)
