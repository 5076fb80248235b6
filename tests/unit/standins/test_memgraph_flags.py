"""Where the Memgraph stand-in's flags come from, and which are refused."""

from pathlib import Path

import pytest
from memgraph_standin import flags as module
from memgraph_standin.flags import FlagError, read_flags


@pytest.fixture(autouse=True)
def packaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let every start read a file of the test."""
    path = tmp_path / "memgraph.conf"
    monkeypatch.setattr(module, "PACKAGED_FILE", path)
    return path


def test_later_sources_win(tmp_path: Path, packaged_file: Path) -> None:
    """Packaged file, the user's, MEMGRAPH_CONFIG, then the command line."""
    home = tmp_path / ".memgraph" / "config"
    home.parent.mkdir()
    extra = tmp_path / "extra.conf"
    packaged_file.write_text(
        "# a comment\n\n--memory-limit=1\n--bolt-port=1\n--log-file=a\n--log-level=INFO"
    )
    home.write_text("--memory-limit=2\n--bolt-port=2\n--log-file='b c'\n")
    extra.write_text("--memory-limit=3\n--bolt-port=3\n")
    environment = {"HOME": str(tmp_path), "MEMGRAPH_CONFIG": str(extra)}
    flags = read_flags(["--memory_limit", "4"], environment)

    assert flags.integers["memory_limit"] == 4
    assert flags.integers["bolt_port"] == 3
    assert flags.strings["log_file"] == "b c"
    assert flags.strings["log_level"] == "INFO"


def test_booleans_have_gflags_forms() -> None:
    """`--x`, `--x=false` and `--nox`."""
    flags = read_flags(["--also-log-to-stderr", "--nostrict-flag-check"], {})

    assert flags.booleans["also_log_to_stderr"]
    assert not flags.booleans["strict_flag_check"]
    given = read_flags(["--also-log-to-stderr=false"], {})
    assert not given.booleans["also_log_to_stderr"]


def test_a_flag_file_is_read_where_it_is_named(tmp_path: Path) -> None:
    """The guide's command names one."""
    file = tmp_path / "x.conf"
    file.write_text("--bolt-port=5\n")

    assert read_flags([f"--flag-file={file}"], {}).integers["bolt_port"] == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nonsense=1"], "unknown command line flag 'nonsense'"),
        (["--storage-wal-enabled=perhaps"], "illegal value 'perhaps'"),
        (["--bolt-port"], "illegal value ''"),
        (["--log-level=LOUD"], "--log-level"),
        ([""], "positional"),
        (["--query-modules-directory=/none"], "/none is not a directory"),
        (["--flag-file=/none"], "/none"),
        (["--storage-wal-enabled=true"], "periodic snapshots"),
        (["--storage-snapshot-interval=@daily"], "Enterprise"),
    ],
)
def test_bad_flags_are_refused(arguments: list[str], said: str) -> None:
    """As Memgraph does, before anything starts."""
    flags = ["--storage-wal-enabled=true"] if "@daily" in str(arguments) else []
    with pytest.raises(FlagError, match=said):
        read_flags([*flags, *arguments], {})


def test_bad_lines_of_a_file_are_refused(packaged_file: Path) -> None:
    """An unknown key in memgraph.conf is as fatal as on the command line."""
    packaged_file.write_text("--storage-wal-enable=true\n")
    with pytest.raises(FlagError, match="storage_wal_enable"):
        read_flags([], {})
    packaged_file.write_text("storage-wal-enabled=true\n")
    with pytest.raises(FlagError, match="not a flag"):
        read_flags([], {})
    packaged_file.unlink()
    with pytest.raises(FlagError, match="nonexisting"):
        read_flags([], {"MEMGRAPH_CONFIG": "/none"})
