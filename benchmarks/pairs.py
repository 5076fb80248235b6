"""
Time two commands in turn, A B A B …, and give the ratio pair by pair.

A pair shares the machine's momentary speed, so the median of the ratios holds where
single times do not.
"""

import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Run = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Seconds of each run, in order; `ours[i]` ran right before `rivals[i]`."""

    ours: tuple[float, ...]
    rivals: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of ours / rival, pair by pair."""
        return statistics.median(
            a / b for a, b in zip(self.ours, self.rivals, strict=True)
        )

    def line(self, name: str, reach: str) -> str:
        ours, rival = statistics.median(self.ours), statistics.median(self.rivals)
        return (
            f"{name}: ratio {self.ratio:.2f} (to reach: {reach}); medians "
            f"{ours:.3f} s against {rival:.3f} s over {len(self.ours)} pairs"
        )


def compare(ours: Run, rival: Run, *, pairs: int, warmup: int = 1) -> Comparison:
    """Run both *pairs* times in turn after *warmup* pairs that are not counted."""
    times = [(timed(ours), timed(rival)) for _ in range(warmup + pairs)][warmup:]
    return Comparison(tuple(a for a, _ in times), tuple(b for _, b in times))


def timed(run: Run) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def spent(run: Run) -> float:
    """Return the processor seconds of a run's processes, which others disturb least."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def command(
    words: Sequence[str], *, cwd: Path, env: dict[str, str] | None = None
) -> Run:
    """Return a run of *words* as a process; a failure ends the benchmark."""

    def run() -> None:
        subprocess.run(words, cwd=cwd, env=env, check=True, capture_output=True)

    return run
