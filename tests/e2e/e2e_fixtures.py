"""A project of its own for each scenario on the real engine, and its clean-up."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import parallel
import pytest
from e2e_scenario import Scenario, created, free_port


@pytest.fixture(scope="session", autouse=True)
def _offline_images(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Build the offline images once in a run, when any engine test is to run."""
    if any(item.get_closest_marker("docker") for item in request.session.items):
        base = tmp_path_factory.getbasetemp()
        parallel.once(request.config, base, "images", Scenario.prepare_images)


@pytest.fixture
def new_scenario(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Scenario]]:
    """Return a maker of scenarios; all of them are removed afterwards."""
    made: list[Scenario] = []

    def make() -> Scenario:
        made.append(created(tmp_path_factory.mktemp("checkout")))
        return made[-1]

    yield make
    for scenario in made:
        _report_failure(request, scenario)
        scenario.remove()


@pytest.fixture
def scenario(new_scenario: Callable[[], Scenario]) -> Scenario:
    """Return a fresh checkout with a project, ports and subnets of its own."""
    return new_scenario()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:
    report = yield
    if call.when == "call" and call.excinfo is not None:
        item.stash[FAILED] = True
    return report


FAILED = pytest.StashKey[bool]()


def _report_failure(request: pytest.FixtureRequest, scenario: Scenario) -> None:
    if request.node.stash.get(FAILED, False):
        print(scenario.evidence())  # noqa: T201 - pytest shows it with the failure


@pytest.fixture(scope="session")
def dev_stack() -> Iterator[Scenario]:
    """
    Return the whole development stack, started once; tests only look at it.

    Its folder may be entered by every user of the machine; two of its ports are fixed.
    """
    with TemporaryDirectory(prefix="jimbot-dev-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        scenario = created(Path(folder))
        names = ("APP_DEBUG_PORT", "QUESTDB_HTTP_PORT")
        scenario.set(**{name: str(free_port()) for name in names})
        try:
            scenario.invoke("up", "--dev", "--offline", timeout=600)
            yield scenario
        finally:
            scenario.remove()
