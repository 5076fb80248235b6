"""A checkout on Windows, or with `core.autocrlf`, runs in Linux containers as well."""

import subprocess

from repository import ROOT


def test_no_text_file_gets_a_carriage_return_in_any_checkout() -> None:
    """A script whose first line ends with one cannot be executed."""
    done = subprocess.run(
        ["git", "-c", "core.autocrlf=true", "ls-files", "--eol"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    kinds = {line.split("\t")[1]: line.split("\t")[0].split() for line in lines}

    assert len(kinds) > 300
    wrong = [
        name
        for name, (index, _worktree, *attributes) in kinds.items()
        if index != "i/-text"
        and ("eol=lf" not in attributes or index in {"i/crlf", "i/mixed"})
    ]
    assert wrong == []
