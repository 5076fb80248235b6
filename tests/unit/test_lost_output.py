"""A task whose output finds no reader ends as it would with one."""

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from compose_ops.cli import tasks
from compose_ops.doctor.run import Report
from compose_ops.errors import EngineError
from compose_ops.gpu.report import GpuReport
from compose_ops.library import linting
from compose_ops.library.backups import Verification
from compose_ops.verdicts import Row, Verdict

BAD = (Row("one", "machine", (Verdict("fail", "it is full"),)),)


class Stack:
    """A project on which everything that is examined is bad."""

    def verify(self, *_: object, **__: object) -> list[Verification]:
        whole = Verification("1", "", opened=True)
        return [whole, Verification("2", "2 is damaged", opened=False)]

    def doctor(self, **_: object) -> Report:
        return Report("shop", "dev", BAD)

    def gpu_check(self, *_: object, **__: object) -> GpuReport:
        return GpuReport("app", BAD)

    def rolling_update(self, *_: object, **__: object) -> None:
        raise EngineError("refused")


class Full(io.StringIO):
    """An output that takes nothing."""

    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a task on the bad project, and returns its exit code."""

    def refused(**_: object) -> None:
        raise EngineError("refused")

    monkeypatch.setattr(tasks, "stack", lambda *_: Stack())
    monkeypatch.setattr(linting, "lint", refused)

    def run(name: str, **flags: Any) -> int:
        task = getattr(tasks, name).make({})
        given = {argument.name: argument.value for argument in task.get_arguments()}
        try:
            task(Context(), **given | flags)
        except Exit as ended:
            return ended.code
        return 0

    return run


@pytest.mark.parametrize("json", [False, True])
@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("verify", {}),
        ("doctor", {}),
        ("gpu_check", {}),
        ("lint", {}),
        ("rolling_update", {"service": ["app"]}),
    ],
)
def test_what_is_bad_fails_the_task_also_where_nobody_reads_it(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    flags: dict[str, Any],
    *,
    json: bool,
) -> None:
    expected = run(name, **flags, json=json)
    monkeypatch.setattr(sys, "stdout", Full())

    assert run(name, **flags, json=json) == expected > 1
