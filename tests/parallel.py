"""
A pytest plugin: which tests a run takes, and how they share the machine.

Several workers (`--numprocesses`) run tests side by side, each file on one worker, for
its module's fixtures. None may measure: what is measured is in benchmarks/.
"""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# Which ports and subnets are given away, to whatever checkout.
RESERVATIONS = Path(tempfile.gettempdir()) / f"compose-ops-tests-{os.getuid()}"
# marker: the option without which its tests are left out
ASKED_FOR = {
    "bare_machine": "--all",
    "upgrade": "--all",
    "real_images": "--real-images",
}
# Files that use the session's one development stack, and what names their group.
ONE_STACK = frozenset(
    f"tests/e2e/test_{name}.py" for name in ("dev_stack", "mcp", "networks")
)
STACK = "dev_stack"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that widen or narrow a run."""
    parser.addoption(
        "--all",
        action="store_true",
        help="also run what only an upgrade can change, and every kill boundary",
    )
    parser.addoption(
        "--quick", action="store_true", help="leave out the slow tests on the engine"
    )
    parser.addoption(
        "--real-images",
        action="store_true",
        help="run the tests that need the real third-party images",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let tasks be killed at every boundary when all is asked for."""
    if config.getoption("--all"):
        os.environ["BACKUP_DEATHS"] = os.environ["ROLLOUT_KILLS"] = "all"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what was not asked for, and say so; bring the slowest to the front."""
    left_out = [item for item in items if not _is_asked_for(config, item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    names = {id(item) for item in left_out}
    items[:] = [item for item in items if id(item) not in names]
    for item in items:
        if STACK in getattr(item, "fixturenames", ()) and _group(item.nodeid) != STACK:
            raise pytest.UsageError(
                f"{item.nodeid} uses {STACK}: name it in {__file__}"
            )
    turns = _turns(items)
    items.sort(key=lambda item: turns[_group(item.nodeid)])


class Grouped(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """Give each worker one group after the other, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Grouped:
    """Let groups stay together, whatever `--dist` says."""
    config.option.loadscopereorder = False
    return Grouped(config, log)


def _is_asked_for(config: pytest.Config, item: pytest.Item) -> bool:
    """Tell whether a run takes a test; one whose file was named is always taken."""
    given = config.invocation_params.dir
    if item.path in {(given / arg.split("::")[0]).resolve() for arg in config.args}:
        return config.getoption("--real-images") or not _has(item, "real_images")
    if config.getoption("--quick") and _has(item, "slow"):
        return False
    return not any(
        _has(item, marker) and not config.getoption(option)
        for marker, option in ASKED_FOR.items()
    )


def _has(item: pytest.Item, marker: str) -> bool:
    return item.get_closest_marker(marker) is not None


def _group(nodeid: str) -> str:
    """Return the name that tests have in common which run on one worker."""
    file = nodeid.split("::", maxsplit=1)[0]
    return STACK if file in ONE_STACK else file


def _turns(items: list[pytest.Item]) -> dict[str, int]:
    """Return each group's turn: slow, engine, in memory."""
    turns: dict[str, int] = {}
    for item in items:
        turn = next(
            number
            for number, marker in enumerate(("slow", "docker", ""))
            if not marker or _has(item, marker)
        )
        group = _group(item.nodeid)
        turns[group] = min(turn, turns.get(group, turn))
    return turns


@contextmanager
def locked(file: Path, mode: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold a lock among all processes of the user; it goes with the process."""
    with file.open("w") as lock:
        fcntl.flock(lock, mode)
        yield


def once(
    config: pytest.Config, base: Path, name: str, do: Callable[[], object]
) -> None:
    """Do something once in a run, on the first worker; *base* is pytest's folder."""
    run = base.parent if hasattr(config, "workerinput") else base
    with locked(run / f"{name}.lock"):
        done = run / f"{name}.done"
        if not done.exists():
            do()
            done.touch()


def reserve(kind: str, name: str) -> bool:
    """Keep a port or subnet for this process; False when another has it."""
    RESERVATIONS.mkdir(mode=0o700, exist_ok=True)
    lock = (RESERVATIONS / f"{kind}-{name}").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    RESERVED.append(lock)
    return True


RESERVED: list[object] = []
"""Open files, whose locks go with this process."""
