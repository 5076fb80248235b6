"""Backups in production: the stores ask for TLS and a password there."""

import subprocess
from pathlib import Path

import pytest
from e2e_scenario import Scenario

from compose_ops.backup import helper

pytestmark = [pytest.mark.docker, pytest.mark.slow]

CONSOLE = (
    "mgconsole --use-ssl=true --username=jimbot --output-format=csv "
    '--password="$(cat /run/secrets/db_password)"'
)
SECRETS = ("db_password.txt", "api_keys.json")


def ask(scenario: Scenario, query: str) -> list[str]:
    """Return the lines that Memgraph answers."""
    words = ("sh", "-c", f"echo '{query}' | {CONSOLE}")
    return scenario.execute("memgraph", *words).split()


def test_production_is_kept_and_brought_back(
    scenario: Scenario, tmp_path: Path
) -> None:
    """What was written before the backup is there after the restore, and no more."""
    dest = ("--dest", str(tmp_path / "sets"))
    scenario.invoke("init", "--prod")
    scenario.invoke("up", "--prod", "--offline", "--service", "memgraph")
    ask(scenario, "CREATE (n:Card {id: 1});")
    scenario.invoke("backup", "--service", "memgraph", *dest)
    ask(scenario, "CREATE (n:Card {id: 2});")
    assert ask(scenario, "MATCH (n) RETURN count(n);")[-1].strip('"') == "2"

    scenario.invoke("restore", "--service", "memgraph", *dest, "--yes")

    assert ask(scenario, "MATCH (n) RETURN count(n);")[-1].strip('"') == "1"
    kept = unpacked(tmp_path / "sets")
    assert b"memgraph" in kept
    for name in SECRETS:
        secret = (scenario.root / "secrets" / name).read_bytes().strip()
        assert secret not in kept, name


def unpacked(dest: Path) -> bytes:
    """Return all that lies in a destination, archives and lists unpacked."""
    script = (
        "find /sets -type f ! -name '*.zst' -exec cat {} +; zstd -dc /sets/*/*/*.zst"
    )
    words = ("docker", "run", "--rm", "--network=none", f"--volume={dest}:/sets:ro")
    opener = ("--entrypoint=sh", helper.image(), "-euc", script)
    return subprocess.check_output([*words, *opener])
