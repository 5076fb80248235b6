"""A small stack of its own to update: two replicas behind the project's gateway."""

import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e_scenario import ROOT, Scenario, created, docker, free_port, service_of
from own_images import fingerprint, is_there
from waiting import eventually

from compose_ops.rollout.proxy import haproxy

TOKEN = "a-token-that-no-file-of-ours-may-hold"
ADMISSION_SECONDS = 10
ASK = "exec 3<>/dev/tcp/127.0.0.1/9999 && printf 'show stat\\n' >&3 && cat <&3"
FILES = Path(__file__).parent / "rollout"
# tag: mode of the application, version that it answers
IMAGES = {
    "v1": ("good", "1"),
    "v2": ("good", "2"),
    "sick": ("never-healthy", "3"),
    "dies": ("dies-3", "4"),
    "dies-late": ("dies-8", "10"),
    "flaky": ("flaky", "5"),
    "turns": ("turns-bad", "6"),
    "first-sick": ("sick-1", "7"),
    "second-sick": ("sick-2", "8"),
}


# Named by what is in it: another checkout's tests have others.
REPOSITORY = f"localhost/jimbot-test-roll-{fingerprint(FILES)}"


def image(tag: str) -> str:
    return f"{REPOSITORY}:{tag}"


def build_images() -> None:
    """Build the application in each of its modes; what is there is as it should be."""
    for tag, (mode, version) in IMAGES.items():
        if not is_there(image(tag)):
            build(tag, mode, version)


def build(tag: str, mode: str, version: str) -> None:
    arguments = ("--build-arg", f"MODE={mode}", "--build-arg", f"VERSION={version}")
    docker("build", "--quiet", *arguments, "--tag", image(tag), str(FILES))


@dataclass
class RolloutSite:
    """The stack, and what tests ask of it."""

    scenario: Scenario
    port: int

    @classmethod
    def started(
        cls, root: Path, *, monitor: str = "8s", workers: int = 1
    ) -> "RolloutSite":
        """Start two replicas of v1, their gateway and a store."""
        scenario = created(root)
        for name in ("docker-compose.yml", "docker-compose.prod.yml"):
            shutil.copy(FILES / name, root / name)
        shutil.copy(FILES / "offline.yml", root / "docker/overlays/offline.yml")
        site = cls(scenario, free_port())
        settings = {"MONITOR": monitor, "WORKERS": str(workers), "TOKEN": TOKEN}
        settings["ROLL_IMAGE"] = REPOSITORY
        scenario.set(APP_PORT=str(site.port), **settings)
        scenario.invoke("up", "--prod", "--offline")
        return site

    def remove(self) -> None:
        """Remove the stack, and the images that updates kept."""
        self.scenario.remove()
        pattern = f"reference=localhost/{self.scenario.project}-*"
        tags = docker(
            *("image", "ls", "--filter", pattern),
            *("--format", "{{.Repository}}:{{.Tag}}"),
        )
        if tags.split():
            docker("image", "rm", *tags.split(), check=False)

    def update(self, *words: str, code: int | None = 0, service: str = "app") -> Any:
        """Run a rolling update with --json and return its object."""
        words = ("rolling-update", "--service", service, *words)
        return self.scenario.json(*words, code=code)  # type: ignore[arg-type]

    def replicas(self, service: str = "app") -> list[dict[str, Any]]:
        """Return the service's containers, stopped ones too."""
        found = [c for c in self.scenario.containers() if service_of(c) == service]
        return sorted(found, key=lambda c: str(c["Name"]))

    def images(self) -> set[str]:
        return {str(c["Image"]) for c in self.replicas()}

    def page(self, path: str = "/") -> str:
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    def page_post(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, data=b"once", timeout=10) as answer:
            return str(answer.read().decode())

    def assert_whole(self) -> None:
        """Two replicas run, the gateway uses both alone, and nothing is left over."""
        replicas = self.replicas()
        network = f"{self.scenario.project}_gateway_network"
        assert len(replicas) == 2
        for replica in replicas:
            assert replica["State"]["Health"]["Status"] == "healthy"
            assert network in replica["NetworkSettings"]["Networks"]
            assert replica["HostConfig"]["RestartPolicy"]["Name"] == "always"
        # A gateway that was just started finds them one check after another.
        eventually(
            lambda: self.admitted() == self.addresses(),
            seconds=ADMISSION_SECONDS,
            evidence=lambda: (self.admitted(), self.addresses()),
        )
        journals = self.scenario.root.glob(".compose-ops/*/*/journal/update.json")
        assert not list(journals)

    def addresses(self) -> set[str]:
        """Return where the gateway would find each replica of the app."""
        network = f"{self.scenario.project}_gateway_network"
        attached = [c["NetworkSettings"]["Networks"] for c in self.replicas()]
        return {f"{n[network]['IPAddress']}:8000" for n in attached if network in n}

    def admitted(self) -> set[str]:
        """Return the addresses to which the gateway sends requests."""
        entrance = self.replicas("gateway")[0]["Id"]
        return admitted(docker("exec", entrance, "bash", "-c", ASK))

    def assert_discreet(self) -> None:
        """State files are there, for their owner alone, and hold no secret."""
        root = self.scenario.root
        secrets = [p.read_text().strip() for p in (root / "secrets").glob("*.txt")]
        files = [p for p in (root / ".compose-ops").rglob("*") if p.is_file()]
        assert {"TOKEN=" + TOKEN in c["Config"]["Env"] for c in self.replicas()} == {
            True
        }
        assert secrets
        assert files
        for file in files:
            assert file.stat().st_mode & 0o777 == 0o600
            assert not [s for s in (TOKEN, *secrets) if s in file.read_text()], file


def admitted(told: str) -> set[str]:
    """Read from the gateway's statistics where it sends requests."""
    if "pxname" not in told:
        return set()
    return {a for a, server in haproxy.parse(told).items() if server.is_admitted}


def image_id(tag: str) -> str:
    return docker("image", "inspect", "--format", "{{.Id}}", image(tag)).strip()


__all__ = [
    "ASK",
    "IMAGES",
    "ROOT",
    "RolloutSite",
    "admitted",
    "build",
    "build_images",
    "image_id",
]


@contextmanager
def rollout_site(root: Path, *, monitor: str) -> Iterator[RolloutSite]:
    """Yield a site that runs until the block ends."""
    site = RolloutSite.started(root, monitor=monitor)
    try:
        yield site
    finally:
        site.remove()
