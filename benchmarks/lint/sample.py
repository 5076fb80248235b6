"""
Lint the frozen sample beside this file: `python benchmarks/lint/sample.py [NAME …]`.

`sample/*.txt` are texts of parts headed `=== INPUT/FILE`; each input is a project of
its own, `after_public` in the shape of public files, `own` of shapes made for it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from compose_ops.lint import check_all
from compose_ops.lint.loader import Combination, subjects
from compose_ops.lint.report import faults

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "tests/lint"))


def parts(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the body of each part."""
    for part in text.split("=== ")[1:]:
        name, _, body = part.partition("\n")
        yield name, body


def found(files: dict[str, str]) -> Iterator[str]:
    """Yield each fault of one input as a line."""
    from lint_record import docker

    with TemporaryDirectory() as scratch:
        root = Path(scratch)
        for name, body in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(body, encoding="utf-8")
        top = sorted(root.glob("*compose*.y*ml"), key=lambda p: p.name.count("."))
        chosen = [one for one in top if not one.stem.endswith("-base")]
        chosen = [one for one in chosen if one.name != "common.yaml"]
        made = subjects(
            [Combination("sample", tuple(chosen))], root=root, docker=docker
        )
        for fault in faults(check_all(made)):
            one = fault.first
            more = f" (+{len(fault.others)})" if fault.others else ""
            place = f"{one.file}:{one.line}"
            yield f"{place}: {one.severity}: {one.message} [{one.rule}]{more}"


def main(names: list[str]) -> None:
    inputs: dict[str, dict[str, str]] = {}
    for path in sorted((HERE / "sample").glob("*.txt")):
        for name, body in parts(path.read_text(encoding="utf-8")):
            input_name, _, file = name.partition("/")
            inputs.setdefault(input_name, {})[file] = body
    for name in names or inputs:
        for line in found(inputs[name]):
            print(f"{name} {line}")


if __name__ == "__main__":
    main(sys.argv[1:])
