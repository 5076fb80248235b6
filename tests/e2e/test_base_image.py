"""The base image: built by anyone who may use the engine, and fit to build on."""

import grp
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_scenario import ROOT, docker, inspected

pytestmark = [pytest.mark.docker, pytest.mark.slow]

BASE = "localhost/jimbot-base:bookworm"
USER = 1234
# A user of the docker group and nothing else, whose umask hides what it writes.
PLAIN_USER = """
import os, sys
os.setgroups([int(sys.argv[1])]); os.setgid(1234); os.setuid(1234); os.umask(0o077)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Return a folder of user 1234's; pytest's own are closed to other users."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    with tempfile.TemporaryDirectory(prefix="jimbot-user-") as name:
        folder = Path(name)
        for part in ("scripts", "docker/standins/base"):
            shutil.copytree(ROOT / part, folder / part)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, USER, USER)
        yield folder


@pytest.fixture(scope="module")
def built_by_user(home: Path) -> Iterator[str]:
    """Build the base from packages as user 1234, and return its name."""
    name = f"localhost/jimbot-test-base:{uuid.uuid4().hex[:8]}"
    group = str(grp.getgrnam("docker").gr_gid)
    build = ["scripts/base-image.sh", "--from", "packages", "--tag", name]
    subprocess.run(
        [sys.executable, "-c", PLAIN_USER, group, *build],
        cwd=home,
        env={**os.environ, "HOME": str(home)},
        check=True,
    )
    yield name
    docker("image", "rm", "--force", name)


@pytest.mark.bare_machine
def test_image_of_a_plain_user_belongs_to_root(built_by_user: str) -> None:
    odd = docker("run", "--rm", built_by_user, "find", "/", "-xdev", "-uid", str(USER))
    assert odd == ""
    modes = "stat --format %a /usr/bin/passwd /tmp /etc/passwd"
    printed = docker("run", "--rm", built_by_user, *modes.split())
    assert printed.split() == ["4755", "1777", "644"]


def test_every_package_is_installed_whole() -> None:
    assert docker("run", "--rm", BASE, "dpkg", "--audit") == ""


def test_label_names_the_python_that_is_in_it() -> None:
    [image] = inspected("image", [BASE])
    label = image["Config"]["Labels"]["compose-ops.python"]
    for name in ("python", "python3", f"python{label}"):
        printed = docker("run", "--rm", BASE, name, "--version")
        assert printed.startswith(f"Python {label}.")


def test_it_lacks_curl_as_the_public_image_does() -> None:
    found = "command -v curl || echo none"
    assert docker("run", "--rm", BASE, "sh", "-c", found) == "none\n"


def test_builds_on_it_reach_packages(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"FROM {BASE}\n"
        "RUN apt-get update && apt-get install --yes --no-install-recommends hello\n"
        "RUN pip install --no-cache-dir idna && hello && python -c 'import idna'\n"
    )
    docker(
        "build", "--no-cache", "--quiet", "--output", "type=cacheonly", str(tmp_path)
    )


def test_second_run_builds_nothing() -> None:
    def image() -> str:
        return str(inspected("image", [BASE])[0]["Id"])

    before = image()
    subprocess.run([ROOT / "scripts/base-image.sh"], check=True)
    assert image() == before
