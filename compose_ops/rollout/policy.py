"""What the compose file says about updates of a service: `update_config` and labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compose_ops.errors import ConfigurationError
from compose_ops.units import seconds

LABEL = "compose-ops.rollout."
DATA_LABEL = "compose-ops.data.volumes"
START_FIRST, STOP_FIRST = "start-first", "stop-first"
ACTIONS = ("pause", "continue", "rollback")
# Swarm's own defaults, which the Compose specification takes over.
DEFAULT_MONITOR = 5.0


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
    """How requests reach a service: its port and pages, and who admits its replicas."""

    port: int
    get: str
    post: str
    health: str
    drain: str
    gateway: str
    network: str


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
    labels = service.get("labels") or {}
    told = {
        key.removeprefix(LABEL): str(value)
        for key, value in labels.items()
        if key.startswith(LABEL)
    }
    if not told.get("gateway"):
        return None
    try:
        return ProbeSettings(
            port=int(told["port"]),
            get=told.get("get", "/"),
            post=told.get("post", ""),
            health=told.get("health", ""),
            drain=told.get("drain", ""),
            gateway=told["gateway"],
            network=told["network"],
        )
    except (KeyError, ValueError) as wrong:
        raise ConfigurationError(
            f"the rollout labels of the service are not complete: {wrong}",
            hint="docs/rolling-update.md names each label",
        ) from wrong
