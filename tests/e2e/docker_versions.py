"""Docker in another version than the machine's, unpacked from Debian's packages."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import debian_packages

SOURCES = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs of a release lie; runc is the machine's."""

    root: Path

    @property
    def path(self) -> str:
        """Return the value of PATH that finds them first."""
        return f"{self.root}/usr/bin:{self.root}/usr/sbin:{os.environ['PATH']}"

    def client(self) -> dict[str, str]:
        """Return the variables with which these are the client and its plugins."""
        config = self.root / "config"
        config.mkdir(exist_ok=True)
        plugins = config / "cli-plugins"
        if not plugins.is_symlink():
            plugins.symlink_to(self.root / "usr/libexec/docker/cli-plugins")
        return {"PATH": self.path, "DOCKER_CONFIG": str(config)}


def unpacked(folder: Path, release: str, *packages: str) -> Programs:
    """Fetch *packages* of a Debian release, whichever one the machine has."""
    apt = _own_lists(folder, release)
    _run(*apt, "update", cwd=folder)
    # With the release named: what is installed may be newer.
    _run(*apt, "download", *(f"{p}/{release}" for p in packages), cwd=folder)
    debian_packages.extract(folder.glob("*.deb"), folder / "root")
    return Programs(folder / "root")


def _own_lists(folder: Path, wanted: str) -> list[str]:
    """Return apt with lists and sources in the folder: the machine's stay."""
    words = ["apt-get", "indextargets", "--format", SOURCES, "Created-By: Packages"]
    lines = subprocess.check_output(words, text=True).splitlines()
    found = [line.split("|") for line in lines]
    mirror = next(uri for uri, release, _ in found if release == "bookworm")
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    source = f"deb [signed-by={KEYRING}] {mirror} {wanted} main\n"
    (folder / "sources.list").write_text(source)
    places = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
    }
    return [
        "apt-get",
        "-qq",
        *(w for k, v in places.items() for w in ("-o", f"{k}={v}")),
    ]


def _run(*argv: str, cwd: Path) -> None:
    subprocess.run(argv, cwd=cwd, check=True, capture_output=True)
