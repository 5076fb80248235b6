"""Log lines are JSON objects, on stdout and in a file of this host's own."""

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jimbot.logs import KEPT_DAYS, write_logs


@pytest.fixture(autouse=True)
def _untouched_root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def own_file(folder: Path) -> Path:
    return folder / f"app-{socket.gethostname()}.log"


def test_line_goes_to_stdout_and_to_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_logs("WARNING", tmp_path)
    logging.getLogger("some.where").info("too quiet")
    try:
        int("a\nb")
    except ValueError:
        logging.getLogger("some.where").exception("went %s", "wrong")

    (line,) = capsys.readouterr().out.splitlines()
    assert own_file(tmp_path).read_text().splitlines() == [line]
    told = json.loads(line)
    assert (told["level"], told["logger"]) == ("error", "some.where")
    assert told["message"] == "went wrong"
    assert "ValueError" in told["exception"]


def test_folder_that_cannot_be_written_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_logs("INFO", tmp_path / "missing")

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["level"] == "warning"


def test_files_of_hosts_long_gone_are_removed(tmp_path: Path) -> None:
    old, recent, foreign = (
        tmp_path / name for name in ("app-old.log.1", "app-recent.log", "other.log")
    )
    for file in (old, recent, foreign):
        file.touch()
    long_ago = time.time() - (KEPT_DAYS + 1) * 86400
    for file in (old, foreign):
        os.utime(file, (long_ago, long_ago))

    write_logs("INFO", tmp_path)

    assert not old.exists()
    assert recent.exists()
    assert foreign.exists()
