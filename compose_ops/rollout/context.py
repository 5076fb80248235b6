"""What an update works on: the service, its engine and its gateway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from compose_ops.docker.api import Container, Engine
from compose_ops.errors import UnhealthyError
from compose_ops.project.model import Model
from compose_ops.rollout.helpers import Helpers
from compose_ops.rollout.policy import ProbeSettings, traffic
from compose_ops.rollout.proxy.haproxy import HAProxy
from compose_ops.rollout.proxy.runtime_api import RuntimeApi
from compose_ops.rollout.store_update import StoreData
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock
from compose_ops.units import seconds

DEFAULT_GRACE = 10.0


@dataclass(frozen=True, slots=True)
class UpdateContext:
    """
    What the steps of an update need; `network` and `gateway` are names on the engine.

    Both are empty for a service that no gateway serves, `gateway` alone while it does
    not run. Times are in seconds. `data` makes restore points of a store.
    """

    engine: Engine
    project: str
    service: str
    traffic: ProbeSettings | None
    network: str
    gateway: str
    health_limit: float
    drain_timeout: float
    clock: Clock
    helpers: Helpers
    gateway_started: datetime | None = None
    data: StoreData | None = None

    def containers(self) -> tuple[Container, ...]:
        """Return the service's replicas, stopped ones too."""
        return tuple(
            c
            for c in self.engine.containers(project=self.project)
            if c.service == self.service and not c.is_one_off
        )

    def container(self, reference: str) -> Container:
        """Return one container; UnhealthyError when it does not exist any more."""
        found = self.engine.container(reference)
        if found is None:
            raise UnhealthyError(
                f"container not found: {reference[:12]} of {self.service}",
                hint="something else changes this project; invoke status shows it",
            )
        return found

    def addresses(self, ids: Sequence[str]) -> list[str]:
        """Return where the gateway finds containers; none for those not attached."""
        if self.traffic is None or not self.gateway:
            return []
        found = [self.container(i).networks.get(self.network, "") for i in ids]
        return [
            f"{address}:{port}"
            for address in filter(None, found)
            for port in self.traffic.ports
        ]

    @property
    def api(self) -> RuntimeApi | None:
        """The gateway's runtime API; None where no gateway serves the service."""
        if self.traffic is None or not self.gateway:
            return None
        return RuntimeApi(
            self.engine,
            self.helpers,
            self.traffic.gateway,
            self.gateway,
            self.traffic.runtime_port,
            self.gateway_started,
        )

    @property
    def proxy(self) -> HAProxy | None:
        """The gateway as a proxy; None where none serves the service."""
        api = self.api
        return HAProxy(api.service, api.port, api.ask, self.clock) if api else None


def update_context(
    stack: StackContext,
    model: Model,
    engine: Engine,
    service: str,
    *,
    limit: int | None,
    clock: Clock,
    served: bool = True,
) -> UpdateContext:
    """
    Return the context of an update of *service*; *limit* is in seconds.

    Raises UnhealthyError when the gateway that its labels name does not run; unless it
    must be *served*, the context is then one without a gateway.
    """
    described = model.service(service)
    found = traffic(described)
    gateway = _gateway(stack, found, served=served)
    return UpdateContext(
        engine=engine,
        project=stack.project,
        service=service,
        traffic=found,
        network=_network(model, found),
        gateway=gateway.id if gateway else "",
        health_limit=float(limit or model.seconds_to_verdict(service)),
        drain_timeout=_drain_timeout(described, found),
        clock=clock,
        helpers=Helpers(
            engine, stack.project, lambda: stack.collaborators.helper_image(stack)
        ),
        gateway_started=gateway.started if gateway else None,
        data=StoreData(stack, service),
    )


def _drain_timeout(described: Mapping[str, Any], found: ProbeSettings | None) -> float:
    if found and found.drain_timeout is not None:
        return found.drain_timeout
    return seconds(described.get("stop_grace_period"), DEFAULT_GRACE)


def _network(model: Model, found: ProbeSettings | None) -> str:
    if found is None:
        return ""
    network = model.networks.get(found.network) or {}
    return str(network.get("name", f"{model.project}_{found.network}"))


def _gateway(
    stack: StackContext, found: ProbeSettings | None, *, served: bool
) -> Container | None:
    if found is None:
        return None
    running = [
        c for c in stack.refresh() if c.service == found.gateway and c.is_running
    ]
    if not running and served:
        raise UnhealthyError(
            f"the gateway {found.gateway} does not run: nothing was changed",
            hint=f"invoke up --service {found.gateway}",
        )
    return running[0] if running else None
