"""Tests that measure run alone, and nothing is given away twice."""

import os
import subprocess
import sys
from pathlib import Path

import parallel

TESTS = Path(parallel.__file__).parent
# Each test notes when it began and ended; two of them are alone.
SUITE = """
import time
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(6))
def test_(number, request):
    with Path({notes!r}).open("a") as notes:
        notes.write(f"begin {{request.node.name}}\\n")
    time.sleep(0.05)
    with Path({notes!r}).open("a") as notes:
        notes.write(f"end {{request.node.name}}\\n")
"""


def test_what_measures_runs_beside_nothing(tmp_path: Path) -> None:
    """Three workers, and a mark on the tests of one file."""
    notes = tmp_path / "notes"
    for name in ("one", "two", "measured"):
        text = SUITE.format(notes=str(notes)).replace("test_(", f"test_{name}(")
        mark = "pytestmark = pytest.mark.alone\n" if name == "measured" else ""
        (tmp_path / f"test_{name}.py").write_text(text + mark)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = -p parallel\nmarkers = alone\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--numprocesses=3", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(TESTS), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    lines = notes.read_text().splitlines()
    begun = [n for n, line in enumerate(lines) if line.startswith("begin test_measu")]
    assert len(begun) == 6
    for number in begun:
        assert lines[number + 1] == lines[number].replace("begin", "end")


def test_a_file_of_which_a_part_is_alone_is_refused(tmp_path: Path) -> None:
    """All workers would wait in the middle of the run."""
    (tmp_path / "test_some.py").write_text(
        "import pytest\n\n@pytest.mark.alone\ndef test_one(): pass\n"
        "def test_two(): pass\n"
    )
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = -p parallel\nmarkers = alone\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(TESTS), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 4
    assert "test_some.py: some of its tests are alone" in done.stderr


def test_a_reserved_name_is_not_given_again() -> None:
    """To no other process, as long as this one lives."""
    name = str(os.getpid())
    ask = f"import parallel; print(parallel.reserve('trial', {name!r}))"

    assert parallel.reserve("trial", name)
    printed = subprocess.check_output([sys.executable, "-c", ask], cwd=TESTS, text=True)
    assert printed == "False\n"
    (parallel.RESERVATIONS / f"trial-{name}").unlink()
