"""Nothing is given away twice."""

import os
import subprocess
import sys
from pathlib import Path

import parallel

TESTS = Path(parallel.__file__).parent


def test_a_reserved_name_is_not_given_again() -> None:
    """To no other process, as long as this one lives."""
    name = str(os.getpid())
    ask = f"import parallel; print(parallel.reserve('trial', {name!r}))"

    assert parallel.reserve("trial", name)
    printed = subprocess.check_output([sys.executable, "-c", ask], cwd=TESTS, text=True)
    assert printed == "False\n"
    (parallel.RESERVATIONS / f"trial-{name}").unlink()
