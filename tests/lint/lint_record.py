"""
Record what Compose says of every case: `PYTHONPATH=. python tests/lint/lint_record.py`.

The tests read the record, so that they need no docker client; an engine test compares
it with what Compose says today.
"""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lint_cases import FOLDER, RECORD, Case, example_cases, folder_cases

from compose_ops.docker.api import Output
from compose_ops.lint import composefile
from compose_ops.lint.tolerant_config import merge

FOLDERS = ("corpus", "guide", "shapes")


def all_cases() -> list[Case]:
    """Return every case whose model is recorded."""
    found = [case for folder in FOLDERS for case in folder_cases(folder)]
    return found + [case for _, *both in example_cases() for case in both]


def docker(*arguments: str, timeout: float | None = None) -> Output:
    """Run docker as `Engine.docker` does."""
    done = subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    return Output(done.returncode, done.stdout, done.stderr)


def ask(case: Case) -> list[dict[str, Any]]:
    """Return what Compose says of a case's combinations, its folder left open."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "case"
        folder.mkdir()
        env = folder / ".env.example"
        answers = [
            merge(
                composefile.read_all(one.files),
                one.files,
                directory=folder,
                docker=docker,
                env_files=[env] if env.exists() else [],
            )
            for one in case.write(folder)
        ]
        found = [
            {
                "model": one.model,
                "refusals": one.refusals,
                "unset": sorted(one.unset),
                "placeholders": one.placeholders,
            }
            for one in answers
        ]
        text = json.dumps(found).replace(str(folder), FOLDER)
        models: list[dict[str, Any]] = json.loads(text)
        return models


def main() -> None:
    cases = all_cases()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ask, cases))
    record = {case.key: answer for case, answer in zip(cases, answers, strict=True)}
    text = json.dumps(record, indent=0, sort_keys=True)
    RECORD.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
