"""What the compose file says about updates of a service: `update_config` and labels."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from compose_ops.docker.api import Container
from compose_ops.errors import ConfigurationError
from compose_ops.project.labels import normalised
from compose_ops.rollout.open_loop import ProbeRequest
from compose_ops.units import seconds, whole

LABEL = "compose-ops.rollout."
DATA_LABEL = "compose-ops.data.volumes"
START_FIRST, STOP_FIRST = "start-first", "stop-first"
ACTIONS = ("pause", "continue", "rollback")
# Swarm's own defaults, which the Compose specification takes over.
DEFAULT_MONITOR = 5.0
KEYS = frozenset(
    [
        "gateway",
        "network",
        "port",
        "gateway-port",
        "runtime-port",
        "get",
        "post",
        "health",
        "drain",
        "host",
        "scheme",
        "method",
        "body",
        "status",
        "drain-timeout",
        "before",
        "alias",
        "ports",
    ]
)
DOCUMENTED = "docs/rolling-update.md lists the labels"
PORTS, STATUS_DIGITS = 65536, 3
DURATION = re.compile(r"(\d+(\.\d+)?(us|ms|h|m|s))+")


@dataclass(frozen=True, slots=True)
class Policy:
    """`deploy.update_config` with Swarm's meaning; times in seconds."""

    parallelism: int
    delay: float
    order: str
    monitor: float
    failure_action: str
    max_failure_ratio: float


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """
    How requests reach a service: its port and pages, and what admits its replicas.

    `gateway_port` is where the gateway listens for the service (0: at `port`),
    `runtime_port` its runtime API; `more_ports` are others at which it has replicas as
    servers. Where the gateway finds replicas by an `alias`, the service's own name is
    the gateway's for all others. `drain` is a signal that replicas get as they drain,
    "" for none. `drain_timeout` is in seconds, None for stop_grace_period.
    """

    port: int
    get: str
    post: str
    health: str
    drain: str
    gateway: str
    network: str
    gateway_port: int = 0
    runtime_port: int = 9999
    host: str = ""
    scheme: str = "http"
    method: str = "GET"
    body: bytes = b""
    statuses: frozenset[int] = frozenset({200})
    drain_timeout: float | None = None
    alias: str = ""
    more_ports: tuple[int, ...] = ()

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port at which the gateway sends requests to replicas."""
        return (self.port, *(p for p in self.more_ports if p != self.port))

    @property
    def page(self) -> ProbeRequest:
        """The request that every replica must answer, again and again."""
        return ProbeRequest(self.method, self.get, self.body, self.statuses)

    @property
    def echo(self) -> ProbeRequest | None:
        """The POST whose answer repeats its body, None where there is none."""
        if not self.post:
            return None
        return ProbeRequest("POST", self.post, b"", frozenset({200}), echoes=True)

    @property
    def health_page(self) -> ProbeRequest | None:
        if not self.health:
            return None
        return ProbeRequest("GET", self.health, b"", frozenset({200, 204}))

    def host_header(self, address: str, port: int) -> str:
        """Return the Host header of a request to *address*."""
        return self.host or f"{address}:{port}"


def policy(service: Mapping[str, Any], replicas: int) -> Policy:
    """
    Return the update policy of a service of the merged model.

    Raises ConfigurationError for a failure_action that is none.
    """
    given = (service.get("deploy") or {}).get("update_config") or {}
    parallelism = int(given.get("parallelism", 1))
    action = given.get("failure_action", "pause")
    if action not in ACTIONS:
        raise ConfigurationError(
            f"update_config.failure_action is {action!r}",
            hint=f"one of: {', '.join(ACTIONS)}",
        )
    return Policy(
        parallelism=min(parallelism or replicas, max(replicas, 1)),
        delay=seconds(given.get("delay")),
        order=given.get("order", STOP_FIRST),
        monitor=seconds(given.get("monitor"), DEFAULT_MONITOR),
        failure_action=action,
        max_failure_ratio=float(given.get("max_failure_ratio", 0)),
    )


def is_rolled(service: Mapping[str, Any]) -> bool:
    """Say whether a service asks by `update_config` not to be replaced at once."""
    return bool((service.get("deploy") or {}).get("update_config"))


def traffic(service: Mapping[str, Any]) -> ProbeSettings | None:
    """Return how requests reach the service, None where no gateway is named."""
    found = keys_of(service)
    if not found.get("gateway"):
        return None
    _refuse_unknown(found)
    for key in ("port", "network"):
        if not found.get(key):
            raise ConfigurationError(f"label missing: {LABEL}{key}", hint=DOCUMENTED)
    return probe_settings(found)


def keys_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of a service's rollout as its labels state them."""
    labels = service.get("labels") or {}
    return {
        key.removeprefix(LABEL): str(value)
        for key, value in labels.items()
        if key.startswith(LABEL)
    }


def probe_settings(stated: Mapping[str, str]) -> ProbeSettings:
    """
    Return what the keys of a rollout say; `port` is among them.

    Raises ConfigurationError for an unknown key, and for a value that is none.
    """
    _refuse_unknown(stated)
    return ProbeSettings(
        port=_port(stated, "port"),
        get=stated.get("get", "/"),
        post=stated.get("post", ""),
        health=stated.get("health", ""),
        drain=stated.get("drain", ""),
        gateway=stated.get("gateway", ""),
        network=stated.get("network", ""),
        gateway_port=_port(stated, "gateway-port", default="0"),
        runtime_port=_port(stated, "runtime-port", default="9999"),
        host=stated.get("host", ""),
        scheme=_choice(stated, "scheme", ("http", "https")),
        method=stated.get("method", "GET").upper(),
        body=stated.get("body", "").encode(),
        statuses=_statuses(stated.get("status", "200")),
        drain_timeout=_seconds("drain-timeout", stated["drain-timeout"])
        if "drain-timeout" in stated
        else None,
        alias=stated.get("alias", ""),
        more_ports=_ports(stated.get("ports", "")),
    )


def drain_signal(container: Container, settings: ProbeSettings) -> str:
    """
    Return the signal that makes *container* drain, "" for none.

    Its own labels decide where it has some: another version may take another signal,
    or end by the one that the next version takes.
    """
    own = normalised(container.labels)
    if any(key.startswith(LABEL) for key in own):
        return own.get(f"{LABEL}drain", "")
    return settings.drain


def _refuse_unknown(stated: Mapping[str, str]) -> None:
    if unknown := sorted(stated.keys() - KEYS):
        near = get_close_matches(unknown[0], KEYS, n=1)
        raise ConfigurationError(
            f"unknown label {LABEL}{unknown[0]}",
            hint=f"did you mean {LABEL}{near[0]}?" if near else DOCUMENTED,
        )


def _port(stated: Mapping[str, str], key: str, *, default: str = "") -> int:
    value = stated.get(key, default)
    port = whole(value)
    if port is None or port >= PORTS:
        raise ConfigurationError(
            f"label {LABEL}{key} is {value!r:.60}, not a port", hint=DOCUMENTED
        )
    return port


def _ports(text: str) -> tuple[int, ...]:
    words = text.replace(",", " ").split()
    return tuple(_port({"ports": word}, "ports") for word in words)


def _seconds(key: str, value: str) -> float:
    if value.isdecimal():
        return float(value)
    if not DURATION.fullmatch(value):
        raise ConfigurationError(
            f"label {LABEL}{key} is {value!r}, not a duration", hint="such as 30s or 5m"
        )
    return seconds(value)


def _choice(stated: Mapping[str, str], key: str, choices: Sequence[str]) -> str:
    value = stated.get(key, choices[0])
    if value not in choices:
        raise ConfigurationError(
            f"label {LABEL}{key} is {value!r}", hint=f"one of: {', '.join(choices)}"
        )
    return value


def _statuses(text: str) -> frozenset[int]:
    """
    Return the statuses that a label names.

    >>> sorted(_statuses("200 302"))
    [200, 302]
    """
    words = text.replace(",", " ").split()
    if not words or not all(w.isdecimal() and len(w) == STATUS_DIGITS for w in words):
        raise ConfigurationError(
            f"label {LABEL}status is {text!r}, not HTTP statuses", hint=DOCUMENTED
        )
    return frozenset(map(int, words))
