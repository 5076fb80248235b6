"""Programs of Debian's packages, for a test whose machine does not have them."""

import subprocess
from collections.abc import Iterable
from pathlib import Path


def unpacked(folder: Path, *packages: str) -> Path:
    """Fetch *packages* into a folder of their own; return where their files are."""
    fetched, root = folder / "packages", folder / "unpacked"
    fetched.mkdir()
    _run(["apt-get", "download", "-qq", *packages], cwd=fetched)
    extract(fetched.glob("*.deb"), root)
    return root


def extract(packages: Iterable[Path], root: Path) -> None:
    """Put the files of packages that were fetched below *root*."""
    for package in packages:
        _run(["dpkg", "--extract", str(package), str(root)], cwd=root.parent)


def libraries(root: Path) -> str:
    """Return the value of LD_LIBRARY_PATH with which what is below *root* runs."""
    found = [p for top in ("lib", "usr/lib") for p in root.glob(f"{top}/*-linux-gnu*")]
    return ":".join(map(str, found))


def _run(argv: list[str], cwd: Path) -> None:
    subprocess.run(argv, cwd=cwd, capture_output=True, check=True)
