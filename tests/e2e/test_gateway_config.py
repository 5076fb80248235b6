"""The gateway's configuration is one that both HAProxy 2.6 and 3.0 accept."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_scenario import ROOT, docker

pytestmark = pytest.mark.docker

CONFIG = ROOT / "docker/services/gateway/haproxy.cfg"
STANDIN = "localhost/jimbot-standin-haproxy:latest"
NEW = f"localhost/jimbot-test-haproxy:{os.urandom(4).hex()}"
# (image, words in front of haproxy's own, where the file is seen, version)
RELEASES = [
    (STANDIN, ("haproxy",), "/haproxy.cfg", "2.6"),
    (NEW, (), "/haproxy.cfg", "3.0"),
]


@pytest.fixture(scope="module", autouse=True)
def _new_release() -> Iterator[None]:
    docker("build", "--quiet", "--tag", NEW, str(Path(__file__).parent / "gateway"))
    yield
    docker("image", "rm", "--force", NEW)


def run(image: str, first: tuple[str, ...], file: Path, *words: str) -> str:
    target = "/haproxy.cfg" if first else "/new/haproxy.cfg"
    mount = ("--mount", f"type=bind,source={file},target={target},readonly")
    limits = ("--network", "none", "--user", "0:0")
    return docker("run", "--rm", *limits, *mount, image, *first, *words, check=False)


@pytest.mark.parametrize(
    ("image", "first", "path", "version"), RELEASES, ids=["2.6", "3.0"]
)
def test_the_configuration_is_valid(
    image: str, first: tuple[str, ...], path: str, version: str
) -> None:
    """Without a warning, and the release is the one that is meant."""
    said = run(image, first, CONFIG, "-c", "-f", path)

    assert f"version {version}." in run(image, first, CONFIG, "-v")
    assert "WARNING" not in said
    assert "ALERT" not in said


@pytest.mark.parametrize(
    ("image", "first", "path", "version"), RELEASES, ids=["2.6", "3.0"]
)
def test_a_fault_would_be_found(
    tmp_path: Path, image: str, first: tuple[str, ...], path: str, version: str
) -> None:
    """An unknown word in the file is refused."""
    del version
    wrong = tmp_path / "haproxy.cfg"
    wrong.write_text(CONFIG.read_text().replace("balance", "ballance"))

    assert "ALERT" in run(image, first, wrong, "-c", "-f", path)
