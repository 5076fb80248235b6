"""What the linter says of a build's sources is what a real build says."""

import subprocess
from pathlib import Path

import pytest

from compose_ops.lint import dockerfile
from compose_ops.lint.build_context import absent_sources, ignore_lines

pytestmark = pytest.mark.docker

# ruff: noqa: E501 - a table
# (Dockerfile, .dockerignore, whether it builds)
BUILDS = {
    "heredoc": ("COPY <<ONE <<-'TWO' /etc/\nnone.txt\nONE\n\tnone.txt\n\tTWO\n", "", True),
    "heredoc-and-source": ("COPY <<ONE none.txt /etc/\nx\nONE\n", "", False),
    "pattern": ("COPY there.txt none*.txt /x/\n", "", True),
    "pattern-alone": ("COPY none?.txt /x/\n", "", True),
    "escape": ("COPY there.txt C:\\\nCOPY folder /x/\n", "", True),
    "backtick": ("COPY `\n  # why\n\n there.txt /x/\n", "", True),
    "climbing": ("COPY ../../there.txt /x/\n", "", True),
    "missing": ("COPY none.txt /x/\n", "", False),
    "ignored": ("COPY there.txt /x/\n", "*.txt\n", False),
    "taken-back": ("COPY there.txt /x/\n", "*\n!there.txt\n", True),
    "below-ignored": ("COPY folder/inside.txt /x/\n", "folder\n", False),
    "ignored-folder-taken-back": ("COPY folder /x/\n", "folder/*\n!folder/inside.txt\n", True),
    "variable": ("ARG NAME=there\nCOPY ${NAME}.txt /x/\n", "", True),
    "variable-missing": ("ARG NAME=none\nCOPY ${NAME:-there}.txt /x/\n", "", False),
    "modifier": ("ARG NAME=there.md\nCOPY ${NAME%.md}.txt /x/\n", "", True),
    "unneeded-stage": ("FROM scratch AS other\nCOPY none.txt /x/\nFROM scratch\nCOPY there.txt /\n", "", True),
    "needed-stage": ("FROM scratch AS other\nCOPY none.txt /x/\nFROM scratch\nCOPY --from=other /x /\n", "", False),
    "exec-form": ('COPY ["there.txt", "/x y/"]\n', "", True),
    "root-path": ("COPY /folder/inside.txt /x/\n", "", True),
}  # fmt: skip


@pytest.mark.parametrize("name", BUILDS)
def test_sources_are_judged_as_the_build_judges_them(name: str, tmp_path: Path) -> None:
    """A source is called absent exactly where BuildKit cannot find it."""
    body, ignored, builds = BUILDS[name]
    head = "# escape=`\n" if name in {"backtick", "escape"} else ""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/inside.txt").write_text("x")
    (tmp_path / "there.txt").write_text("x")
    (tmp_path / ".dockerignore").write_text(ignored)
    path = tmp_path / "Dockerfile"
    path.write_text(f"{head}FROM scratch\n{body}" if "FROM" not in body else body)

    done = subprocess.run(
        ["docker", "build", "--quiet", "--no-cache", "--output", "type=cacheonly", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    file = dockerfile.read(path)
    ignore = ignore_lines(tmp_path, path) or ()
    absent = absent_sources(tmp_path, file, file.stage(None), ignore)
    assert (done.returncode == 0) is builds, done.stderr
    assert (not absent) is builds, (absent, done.stderr)
