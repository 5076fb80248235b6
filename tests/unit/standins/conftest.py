"""Stand-ins for a test, ended with it."""

from collections.abc import Iterator

import pytest
from standin_servers import Starter


@pytest.fixture
def starter() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    starter.end()


@pytest.fixture(scope="module")
def module_starter() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    starter.end()
