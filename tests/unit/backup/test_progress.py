"""What a copy shows of itself: on a terminal, and nowhere else."""

import io
import sys

import pytest

from compose_ops.backup.progress import line, meter

MIB = 1 << 20


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_line_names_bytes_rate_and_time_left() -> None:
    assert (
        line("notes_data", 100 * MIB, 400 * MIB, 2.0)
        == "notes_data 100.0 MiB of 400.0 MiB, 50.0 MiB/s, 6s left"
    )


def test_line_without_a_rate_promises_nothing() -> None:
    assert line("notes_data", 0, 400 * MIB, 0.0) == "notes_data 0 B of 400.0 MiB"


def test_more_than_was_foreseen_has_no_time_left() -> None:
    assert line("x", 500 * MIB, 400 * MIB, 5.0).endswith(
        "500.0 MiB, 100.0 MiB/s, 0s left"
    )


def test_terminal_sees_one_line_that_is_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Drawn five times a second at most, whatever the helper says."""
    screen, times = Terminal(), iter([0.0, 1.0, 1.1, 2.0])
    monkeypatch.setattr(sys, "stderr", screen)

    with meter("notes_data", 4 * MIB, clock=lambda: next(times)) as report:
        for done in (MIB, 2 * MIB, 3 * MIB):
            report(done)

    drawn = [text for text in screen.getvalue().split("\r\x1b[K") if text]
    assert [text.split(",")[0] for text in drawn] == [
        "notes_data 1.0 MiB of 4.0 MiB",
        "notes_data 3.0 MiB of 4.0 MiB",
    ]
    assert screen.getvalue().endswith("\r\x1b[K")


def test_file_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    target = io.StringIO()
    monkeypatch.setattr(sys, "stderr", target)

    with meter("notes_data", MIB) as report:
        report(MIB)

    assert target.getvalue() == ""
