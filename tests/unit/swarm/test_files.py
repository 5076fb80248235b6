"""What files of this machine hold is read for Swarm, or it is said why not."""

import os
from pathlib import Path

import pytest

from compose_ops.errors import DataError
from compose_ops.project.model import Model
from compose_ops.state.fingerprint import fingerprint, key_of
from compose_ops.swarm import files
from compose_ops.swarm.stackfile import Source


def mark(data: bytes) -> str:
    return fingerprint(b"key", data)


def source(path: Path, scratch: Path) -> Source:
    """Return what *path* holds when a service mounts it read-only."""
    mount = {"type": "bind", "source": str(path), "target": "/x", "read_only": True}
    model = Model({"name": "shop", "services": {"web": {"volumes": [mount]}}})
    return files.collect(model, mark, scratch)[str(path)]


def test_a_folder_is_read_without_what_programs_leave(tmp_path: Path) -> None:
    """Compiled modules are no part of it, and that is told."""
    folder = tmp_path / "conf"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__/a.pyc").write_bytes(b"\0")
    (folder / "sub").mkdir()
    (folder / "sub/a.yml").write_text("a")
    found = source(folder, tmp_path / "scratch")

    assert [file.inner for file in found.files] == ["sub/a.yml"]
    assert "__pycache__" in found.left_out


def test_an_empty_file_gets_a_line(tmp_path: Path) -> None:
    """Swarm takes no empty config, and a module's __init__.py is often empty."""
    empty = tmp_path / "__init__.py"
    empty.touch()
    found = source(empty, tmp_path / "scratch")

    assert found.files[0].path.read_bytes() == b"\n"


def test_what_is_too_large_or_missing_is_named(tmp_path: Path) -> None:
    """The stack would fail when it is half deployed."""
    large = tmp_path / "large"
    large.write_bytes(bytes(files.LARGEST + 1))

    assert "large has" in source(large, tmp_path).problem
    assert source(tmp_path / "none", tmp_path).problem == "it is not there"


def test_contents_in_the_compose_file_become_a_file(tmp_path: Path) -> None:
    """Docker's format knows files only; `$$` is Compose's way to write `$`."""
    model = Model({"name": "s", "configs": {"motd": {"content": "cost: $$5"}}})
    found = files.collect(model, mark, tmp_path / "scratch")

    assert found["configs.motd.content"].files[0].path.read_text() == "cost: $5"


def test_fingerprints_need_the_key_of_the_checkout(tmp_path: Path) -> None:
    """Who sees a name on the cluster cannot try passwords against it."""
    one, other = tmp_path / "one", tmp_path / "other"
    first = fingerprint(key_of(one), b"secret")

    assert fingerprint(key_of(one), b"secret") == first
    assert fingerprint(key_of(other), b"secret") != first
    assert (one / ".compose-ops/.gitignore").read_text() == "*\n"
    assert (one / ".compose-ops/fingerprint-key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["empty", "short", "no key", "pipe", "folder", "link"])
def test_damaged_key_is_named_with_its_repair(tmp_path: Path, kind: str) -> None:
    """With an empty key anybody could make the fingerprints."""
    key_of(tmp_path)
    file = tmp_path / ".compose-ops/fingerprint-key"
    text = file.read_text()
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "link":
        (tmp_path / "elsewhere").write_text(text)
        file.symlink_to(tmp_path / "elsewhere")
    else:
        file.write_text({"empty": "", "short": text[:-2], "no key": "z" * 64}[kind])

    with pytest.raises(DataError, match="fingerprint-key is damaged") as refused:
        key_of(tmp_path)

    assert refused.value.hint.startswith("set it aside: mv ")
