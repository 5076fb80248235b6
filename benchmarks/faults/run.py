"""
Put faults into the library, one at a time, and see that the quick tests catch each.

`python benchmarks/faults/run.py [NAME ...]` copies the checkout, runs the tests that
should notice (green without a fault), makes each fault in turn and runs them again.
Exit codes: 0 every fault was caught; 1 one was not, or no longer fits the code.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Fault:
    """A change of one place in the code, and the tests that must fail with it."""

    name: str
    file: str
    there: str
    instead: str
    tests: str


FAULTS = (
    Fault(
        "a damaged archive counts as verified",
        "compose_ops/backup/verify.py",
        'raise _damaged(kept, f"the archive of {archive.key} is not what was written")',
        "return",
        "tests/unit/backup/test_believing.py tests/unit/backup/test_sets.py"
        " tests/unit/backup/test_refusing.py tests/unit/backup/test_saying.py",
    ),
    Fault(
        "prune keeps the newest set although it is not verified",
        "compose_ops/backup/retention.py",
        "verified = [c for c in holding if c.verified]",
        "verified = list(holding)",
        "tests/unit/backup/test_believing.py",
    ),
    Fault(
        "a failed restore leaves the new data",
        "compose_ops/backup/restore_rollback.py",
        'talk.ask("swap out", restore=facts["run"])',
        "pass",
        "tests/unit/backup/test_restoring.py",
    ),
    Fault(
        "a store that runs again under its copy goes unnoticed",
        "compose_ops/backup/quiesce.py",
        'if container.state != "exited":\n            raise',
        'if container.state == "never":\n            raise',
        "tests/unit/backup/test_resting.py",
    ),
    Fault(
        "a new replica is admitted before it is healthy",
        "compose_ops/rollout/health_gate.py",
        "if container.is_healthy or checks",
        "if container.is_running or checks",
        "tests/unit/rollout/test_gate.py",
    ),
    Fault(
        "an update that fails leaves the new version's tag",
        "compose_ops/rollout/revert.py",
        "context.engine.tag(book.image_id, book.reference)",
        "pass",
        "tests/unit/rollout/test_building.py",
    ),
    Fault(
        "two tasks change one project at once",
        "compose_ops/state/lock.py",
        "if not _is_taken(file.fileno()):",
        "if _is_taken(file.fileno()) is None:",
        "tests/unit/state/test_lock.py",
    ),
    Fault(
        "one healthy replica of two is enough",
        "compose_ops/runtime/health.py",
        "if healthy.get(name, 0) < count]",
        "if healthy.get(name, 0) < min(count, 1)]",
        "tests/unit/test_health.py",
    ),
    Fault(
        "a port on every address is not seen",
        "compose_ops/lint/rules/ports.py",
        'frozenset({"", "0.0.0.0", "::", "[::]"})',
        'frozenset({"0.0.0.0", "::", "[::]"})',
        "tests/lint",
    ),
    Fault(
        "a secret that its service cannot read is passed over",
        "compose_ops/doctor/checks/secret_files.py",
        "if may is False:",
        "if may is None:",
        "tests/unit/test_access_checks.py tests/unit/test_judgements.py",
    ),
)


def main(names: list[str]) -> int:
    """Try the faults, or those whose name holds one of *names*; return exit code."""
    chosen = [f for f in FAULTS if not names or any(name in f.name for name in names)]
    missed = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        copy = Path(folder)
        _copy(copy)
        for tests in sorted({fault.tests for fault in chosen}):
            code, line = _run(copy, tests)
            if code:
                print(f"not green without a fault: {tests}: {line} (exit code {code})")
                return 1
        for fault in chosen:
            missed += not _is_caught(copy, fault)
    print(f"{len(chosen) - missed} of {len(chosen)} faults caught")
    return int(missed > 0)


def _copy(target: Path) -> None:
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.check_output(listing, cwd=ROOT, text=True).split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    # Some tests ask git which files there are.
    subprocess.run(["git", "init", "--quiet"], cwd=target, check=True)


def _is_caught(copy: Path, fault: Fault) -> bool:
    file = copy / fault.file
    text = file.read_text(encoding="utf-8")
    if text.count(fault.there) != 1:
        print(f"{'no longer fits':>14}  {fault.name} ({fault.file})")
        return False
    file.write_text(text.replace(fault.there, fault.instead), encoding="utf-8")
    begin = time.monotonic()
    try:
        code, line = _run(copy, fault.tests)
    finally:
        file.write_text(text, encoding="utf-8")
    verdict = "caught" if code == 1 else "MISSED"
    print(f"{verdict:>14}  {fault.name}: {line} ({time.monotonic() - begin:.0f} s)")
    return code == 1


def _run(copy: Path, tests: str) -> tuple[int, str]:
    """Return pytest's exit code, and the first test that failed or its last line."""
    words = [sys.executable, "-m", "pytest", "-x", "-q", *tests.split()]
    try:
        done = subprocess.run(
            words, cwd=copy, capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return 1, f"{tests} did not end within 120 s"
    lines = done.stdout.strip().splitlines() or [done.stderr[-200:]]
    failed = [line.split(" ")[1] for line in lines if line.startswith("FAILED ")]
    return done.returncode, (failed or lines[-1:])[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
