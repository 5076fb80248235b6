"""What Compose makes of the variables of env files: it is their only reader."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from compose_ops.docker.api import Engine
from compose_ops.errors import ConfigurationError

SECONDS = 60.0


def resolved(
    engine: Engine,
    names: Iterable[str],
    values: Mapping[str, str],
    env_files: Iterable[Path],
    *,
    literal: Mapping[str, str],
) -> dict[str, str]:
    """
    Return the values of *names*, those with a `$` as Compose reads the *env_files*.

    Compose is asked for these alone; values of the shell and of a mode, *literal*, it
    takes as they are. Raises ConfigurationError for files that it cannot read.
    """
    found = {name: values[name] for name in names if name in values}
    asked = [n for n, value in found.items() if "$" in value and n not in literal]
    if not asked:
        return found
    return found | ask(engine, asked, env_files, timeout=SECONDS)


def ask(
    engine: Engine, names: Iterable[str], env_files: Iterable[Path], *, timeout: float
) -> dict[str, str]:
    """Ask Compose for the values of *names*, in a model that has nothing but them."""
    environment = {name: f"${{{name}}}" for name in names}
    model = {"services": {"values": {"image": "values", "environment": environment}}}
    files = [word for file in env_files for word in ("--env-file", str(file))]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "compose.json"
        file.write_text(json.dumps(model), encoding="utf-8")
        words = ("--file", str(file), "--project-name", "values")
        config = ("config", "--format", "json")
        output = engine.docker("compose", *files, *words, *config, timeout=timeout)
    if output.code != 0:
        raise ConfigurationError(
            "Compose cannot read the values of .env",
            hint="docker compose config names the line",
            detail=output.stderr.strip(),
        )
    printed = json.loads(output.stdout)["services"]["values"]["environment"]
    return {name: str(value).replace("$$", "$") for name, value in printed.items()}
