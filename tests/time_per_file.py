"""
A pytest plugin that closes a run with the seconds that each test file took.

Files that ran at the same time count each for itself, so the sum can be more than the
time of the run, which pytest's own last line tells.
"""

from collections import defaultdict

import pytest


class TimePerFile:
    """Add up what the reports say, set-up and tear-down included."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one phase of one test to its file."""
        self.seconds[report.location[0]] += report.duration

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        """Print the files, slowest first."""
        if not self.seconds:
            return
        terminalreporter.section("seconds per test file")
        slowest = sorted(self.seconds.items(), key=lambda item: -item[1])
        for file, seconds in slowest:
            terminalreporter.write_line(f"{seconds:8.1f}  {file}")


def pytest_configure(config: pytest.Config) -> None:
    """Register the counter for this run."""
    config.pluginmanager.register(TimePerFile(), "time per file")
