"""
The ends of the supported ranges, as far as Debian has them.

Its newest release carries an Engine and a Compose that are newer than the machine's; an
Engine of the oldest supported version is in none, so that the one before it is refused
is what can be tested. What they do changes with an upgrade alone.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from docker_versions import Programs, unpacked
from e2e_scenario import created
from private_engine import PrivateEngine
from remote_site import RemoteSite
from rollout_site import image

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.upgrade,
    pytest.mark.skipif(os.geteuid() != 0, reason="a second dockerd needs root"),
]

NEWEST = ("sid", "docker.io", "docker-cli", "docker-compose", "docker-buildx")
TOO_OLD = ("bookworm", "docker.io")
OVERLAYS = ("private", "replicas", "notes")
UP = ("up", *(word for name in OVERLAYS for word in ("--overlay", name)))


@contextmanager
def newest_site(
    folder: Path, programs: Programs
) -> Iterator[tuple[RemoteSite, dict[str, str]]]:
    """Yield a checkout for an engine of that version, and the variables to reach it."""
    with PrivateEngine(path=programs.path) as engine:
        site = RemoteSite.prepared(folder, engine)
        bound = Path(site.folder)
        bound.mkdir()
        try:
            yield site, {**programs.client(), "DOCKER_HOST": engine.host}
        finally:
            bound.rmdir()


def beside(site: RemoteSite, env: dict[str, str], *words: str) -> str:
    """Run a task where the engine's published ports are; return what it printed."""
    values = [f"{name}={value}" for name, value in env.items()]
    call = ["sh", "-c", f'cd {site.scenario.root} && exec "$@"', "sh"]
    task = [sys.executable, "-m", "invoke", *words]
    done = site.engine.reach(["env", *values, *call, *task])
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_newest_engine_and_compose_do_what_the_older_ones_do(tmp_path: Path) -> None:
    """Up, doctor, a set there and back, an update that loses nothing, down."""
    (tmp_path / "new").mkdir()
    (tmp_path / "checkout").mkdir()
    programs = unpacked(tmp_path / "new", *NEWEST, "containerd")
    with newest_site(tmp_path / "checkout", programs) as (site, env):
        invoke = site.scenario.invoke
        invoke(*UP, env=env)
        first = {name: c["Id"] for name, c in site.containers().items()}
        invoke(*UP, env=env)
        assert {name: c["Id"] for name, c in site.containers().items()} == first
        rows = site.json("doctor", "--only", "engine-version", env=env)["checks"]
        print(rows)  # noqa: T201 - which versions they were
        assert [row["outcome"] for row in rows] == ["ok"]

        site.write(3)
        before = site.held()
        made = site.json("backup", "--service", "notes", env=env)
        assert made["stores"][0]["count"] == [6, 6]
        site.write(7)
        invoke("restore", "--service", "notes", "--yes", env=env)
        assert site.held() == before

        words = ("rolling-update", "--service", "app", "--image", image("v2"))
        done = beside(site, env, *words, "--json")
        assert json.loads(done)["result"] == "updated"
        assert json.loads(done)["proof"]["failed"] == 0
        invoke("down", "--volumes", "--yes", env=env)
        assert not site.containers()


def test_engine_before_the_oldest_is_refused_by_name(tmp_path: Path) -> None:
    """It would refuse the health checks' start_interval in the middle of an up."""
    (tmp_path / "old").mkdir()
    (tmp_path / "checkout").mkdir()
    programs = unpacked(tmp_path / "old", *TOO_OLD)
    scenario = created(tmp_path / "checkout")
    with PrivateEngine(path=programs.path) as engine:
        env = {"DOCKER_HOST": engine.host}
        refused = scenario.invoke("up", "--offline", env=env, code=5)

        assert "engine 20.10" in refused.stderr
        assert "25.0 is the minimum" in refused.stderr
        assert engine.docker("ps", "--all", "--quiet") == ""
