"""What the application is told: the environment, secret files and config/app.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

API_KEYS = "/run/secrets/api_keys"
QUESTDB_PASSWORD = "quest"  # noqa: S105  # what QuestDB has where none was set
SECONDS = {
    "drain": 2.0,
    "grace": 25.0,
    "memgraph": 2.0,
    "questdb": 2.0,
    "eventstore": 2.0,
    "ray": 2.0,
    "call": 10.0,
    "estimate": 20.0,
}
SHORTEST_TOKEN = 20


class SettingsError(Exception):
    """A setting is missing or cannot be used; the text says which and why."""


@dataclass(frozen=True)
class Server:
    """
    Where a dependency listens and how this application proves itself to it.

    *ca_file* set means TLS, verified against that authority alone.
    """

    host: str
    port: int
    user: str = ""
    password: str = ""
    ca_file: str | None = None


@dataclass(frozen=True)
class Settings:
    """
    Everything that the application reads from outside, checked.

    *seconds* holds the time limits of config/app.json: how long a draining process
    goes on accepting, how long requests in flight may take after that, how long each
    dependency may take to answer, and how long a client's call of a tool may take.
    *api_tokens* are the clients' bearer tokens by the clients' names; *published_on* is
    the host's address that the port is published on; *origins* are the web pages that
    may call, besides those of this machine.
    """

    environment: str
    log_level: str
    log_dir: Path
    port: int
    debug: bool
    debug_port: int
    reload: bool
    memgraph: Server
    questdb: Server
    eventstore: Server
    ray_address: str
    claude_api_key: str
    claude_rate_limit: int
    api_tokens: Mapping[str, str]
    published_on: str
    origins: Sequence[str]
    seconds: Mapping[str, float]

    @property
    def is_production(self) -> bool:
        """Whether nobody gets in without a token."""
        return self.environment != "development"


def read_settings(environ: Mapping[str, str], config: Path) -> Settings:
    """
    Return the settings of *environ* and of the folder *config*.

    Raises SettingsError for a value that cannot be used.
    """
    config_file = config / "app.json"
    return Settings(
        environment=environ.get("ENVIRONMENT", "development"),
        log_level=_log_level(environ),
        log_dir=Path(environ.get("LOG_DIR", "/app/logs")),
        port=_number(environ, "PORT", 8000),
        debug=_switch(environ, "DEBUG"),
        debug_port=_number(environ, "DEBUG_PORT", 5678),
        reload=_switch(environ, "RELOAD"),
        memgraph=_server(environ, "MEMGRAPH", "memgraph", 7687),
        questdb=_server(
            environ, "QUESTDB", "questdb", 8812, user="admin", password=QUESTDB_PASSWORD
        ),
        eventstore=_server(environ, "EVENTSTORE", "eventstore", 2113),
        ray_address=_ray_address(environ),
        claude_api_key=_secret(environ, "ANTHROPIC_API_KEY"),
        claude_rate_limit=_number(environ, "CLAUDE_RATE_LIMIT", 100),
        api_tokens=_tokens(Path(environ.get("API_KEYS_FILE") or API_KEYS)),
        published_on=environ.get("BIND_ADDRESS", ""),
        origins=_origins(config_file),
        seconds=_seconds(config_file),
    )


def _server(
    environ: Mapping[str, str],
    name: str,
    host: str,
    port: int,
    *,
    user: str = "",
    password: str = "",
) -> Server:
    return Server(
        host=environ.get(f"{name}_HOST") or host,
        port=_number(environ, f"{name}_PORT", port),
        user=environ.get(f"{name}_USER") or user,
        password=_secret(environ, f"{name}_PASSWORD", password),
        ca_file=environ.get(f"{name}_CA_FILE") or None,
    )


def _secret(environ: Mapping[str, str], name: str, default: str = "") -> str:
    path = environ.get(f"{name}_FILE")
    if not path:
        return environ.get(name) or default
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{name}_FILE names {path}, which cannot be read: {error}"
        raise SettingsError(message) from error


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdigit():
        message = f"{name} is {text!r}, not a whole number"
        raise SettingsError(message)
    return int(text)


def _switch(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in {"1", "true", "yes", "on"}


def _log_level(environ: Mapping[str, str]) -> str:
    level = (environ.get("LOG_LEVEL") or "info").upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        message = f"LOG_LEVEL is {level.lower()!r}: use debug, info, warning or error"
        raise SettingsError(message)
    return level


def _ray_address(environ: Mapping[str, str]) -> str:
    address = environ.get("RAY_ADDRESS") or "ray://ray-head:10001"
    if not address.startswith("ray://"):
        # Without the scheme Ray waits a minute for a node on this very machine.
        message = f"RAY_ADDRESS is {address!r}: write ray://HOST:10001"
        raise SettingsError(message)
    return address


def _tokens(file: Path) -> Mapping[str, str]:
    tokens = _read_json(file).get("mcp", {})
    if not isinstance(tokens, dict):
        message = f"{file}: mcp is not an object of names and tokens"
        raise SettingsError(message)
    for name, token in tokens.items():
        if not isinstance(token, str) or not len(token) >= SHORTEST_TOKEN:
            message = f"{file}: the token of {name} is shorter than {SHORTEST_TOKEN}"
            raise SettingsError(message)
    return tokens


def _origins(file: Path) -> Sequence[str]:
    origins = _read_json(file).get("origins", [])
    if not isinstance(origins, list) or not all(isinstance(o, str) for o in origins):
        message = f"{file}: origins is not a list of addresses"
        raise SettingsError(message)
    return origins


def _seconds(file: Path) -> Mapping[str, float]:
    given = _read_json(file).get("seconds", {})
    unknown = sorted(set(given) - set(SECONDS))
    if unknown:
        message = f"{file} sets unknown seconds: {', '.join(unknown)}"
        raise SettingsError(message)
    try:
        return {**SECONDS, **{name: float(value) for name, value in given.items()}}
    except (TypeError, ValueError) as error:
        message = f"{file} has a time that is not a number: {error}"
        raise SettingsError(message) from error


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        message = f"{file} cannot be read: {error}"
        raise SettingsError(message) from error
    return content if isinstance(content, dict) else {}
