"""What the docker client's own files and variables select: its socket, its plugins."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SOCKET = "/var/run/docker.sock"
PLUGIN_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
"""In the order of Docker's cli-plugins/manager; the user's own folder comes first."""

_OTHERWISE = ("DOCKER_API_VERSION", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


def socket_of(host: str | None, environment: Mapping[str, str]) -> str:
    """
    Return the local socket that the docker client talks to, nothing where it has none.

    *host* is what a flag names. Order as in Docker's documentation of contexts: flag,
    DOCKER_HOST, DOCKER_CONTEXT, then the context that the configuration selects.
    """
    if shutil.which("docker") is None or any(map(environment.get, _OTHERWISE)):
        return ""
    named = host or environment.get("DOCKER_HOST")
    if named:
        return named.removeprefix("unix://") if named.startswith("unix://") else ""
    settings = _settings(environment)
    context = environment.get("DOCKER_CONTEXT") or settings.get("currentContext")
    return SOCKET if context in {None, "", "default"} else ""


def plugin(name: str, environment: Mapping[str, str]) -> str:
    """Return the file that `docker NAME` runs; nothing where that is not sure."""
    settings = _settings(environment)
    if shutil.which("docker") is None or "cliPluginsExtraDirs" in settings:
        return ""
    folders = (_folder(environment) / "cli-plugins", *map(Path, PLUGIN_FOLDERS))
    for file in (folder / f"docker-{name}" for folder in folders):
        if file.exists():
            return str(file) if os.access(file, os.X_OK) else ""
    return ""


def _folder(environment: Mapping[str, str]) -> Path:
    named = environment.get("DOCKER_CONFIG")
    return Path(named) if named else Path(environment.get("HOME", "/")) / ".docker"


def _settings(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the client's configuration; one that cannot be read selects unknowns."""
    try:
        found = json.loads((_folder(environment) / "config.json").read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        found = None
    unknown = {"currentContext": "unknown", "cliPluginsExtraDirs": []}
    return found if isinstance(found, dict) else unknown
