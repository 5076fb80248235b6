"""A stack on an engine that is not here: a store, and two replicas behind a gateway."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e_scenario import ROOT, Scenario, created, docker
from own_images import fingerprint
from private_engine import PrivateEngine
from rollout_site import FILES, REPOSITORY, build_images, image

from compose_ops.backup import helper

BASE = "localhost/jimbot-base:bookworm"
CONTEXT = ROOT / "docker/services/gateway"
GATEWAY = f"localhost/jimbot-test-gateway:{fingerprint(CONTEXT)}"
STANDIN = "HAPROXY_IMAGE=localhost/jimbot-standin-haproxy:latest"
PORT = "8000"
# One folder of its data lies on the engine's host, and not on this machine.
NOTES = """\
services:
  notes:
    image: localhost/jimbot-base:bookworm
    command: [sh, -c, "trap 'exit 0' TERM; sleep infinity & wait"]
    network_mode: none
    stop_grace_period: 5s
    mem_limit: 64m
    healthcheck:
      test: [CMD, "true"]
      interval: 30s
      start_period: 30s
      start_interval: 1s
    volumes:
      - notes_data:/data
      - {type: bind, source: "%s", target: /bound}
    labels:
      compose-ops.data.volumes: notes_data /bound
      compose-ops.backup.count: cat /data/notes /bound/notes | wc -l
volumes:
  notes_data:
"""
WRITE = """
seq "$1" >/data/notes; seq "$1" >/bound/notes; seq "$1" 900000 >/data/large; sync
"""
READ = "wc -l </data/notes; wc -l </bound/notes; sha256sum </data/large"


@dataclass
class RemoteSite:
    """A checkout of this machine whose containers are on *engine*."""

    scenario: Scenario
    engine: PrivateEngine

    @classmethod
    def prepared(cls, root: Path, engine: PrivateEngine) -> "RemoteSite":
        """Make the checkout, and have on the engine what a registry would."""
        scenario = created(root)
        overlays = root / "docker/overlays"
        shutil.copy(FILES / "docker-compose.yml", root)
        shutil.copy(FILES / "docker-compose.prod.yml", overlays / "replicas.yml")
        shutil.copy(FILES / "private.yml", overlays)
        (overlays / "cpu.yml").write_text("services: {}\n")
        site = cls(scenario, engine)
        (overlays / "notes.yml").write_text(NOTES % site.folder)
        scenario.set(
            APP_PORT=PORT, MONITOR="2s", ROLL_IMAGE=REPOSITORY, GATEWAY_IMAGE=GATEWAY
        )
        build_images()
        named = ("--build-arg", STANDIN, "--tag", GATEWAY)
        docker("build", "--quiet", *named, str(CONTEXT))
        engine.load(BASE, helper.image(), GATEWAY, image("v1"), image("v2"))
        mount = ("run", "--rm", "--volume", "/run:/host", BASE)
        engine.docker(*mount, "mkdir", f"/host/{Path(site.folder).name}")
        assert not Path(site.folder).exists()
        return site

    @property
    def folder(self) -> str:
        """A folder of the engine's host; the private engine's /run is its own."""
        return f"/run/{self.engine.directory.name}"

    def json(self, *words: str, env: Mapping[str, str]) -> Any:
        """Run a task with --json and return its object."""
        done = self.scenario.invoke(*words, "--json", env=dict(env))
        return json.loads(done.stdout)

    def containers(self, service: str = "") -> dict[str, dict[str, Any]]:
        """Return what the engine says of the project's containers, by name."""
        wanted = [f"label=com.docker.compose.project={self.scenario.project}"]
        if service:
            wanted.append(f"label=com.docker.compose.service={service}")
        flags = [word for value in wanted for word in ("--filter", value)]
        names = self.engine.docker("ps", "-aq", "--no-trunc", *flags).split()
        found = json.loads(self.engine.docker("inspect", *names)) if names else []
        return {str(one["Name"]).strip("/"): one for one in found}

    def write(self, lines: int) -> None:
        """Have so many lines in each folder of the store, and a large file after."""
        self._execute(WRITE, str(lines))

    def held(self) -> list[str]:
        """Return the lines in each folder of the store, and the large file's hash."""
        return self._execute(READ).split()[:3]

    def _execute(self, script: str, *words: str) -> str:
        (name,) = self.containers("notes")
        return self.engine.docker("exec", name, "sh", "-euc", script, "sh", *words)
