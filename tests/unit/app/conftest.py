"""Stand-ins and applications for a test, ended with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from app_process import Applications
from standin_servers import Starter


@pytest.fixture(scope="module")
def standins() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    starter.end()


@pytest.fixture
def applications(tmp_path: Path) -> Iterator[Applications]:
    started = Applications(tmp_path)
    yield started
    started.end()
