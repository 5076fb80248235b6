"""What an update works on: the service, its engine and its gateway."""

from collections.abc import Sequence
from dataclasses import dataclass

from compose_ops.docker.api import Container, Engine
from compose_ops.errors import UnhealthyError
from compose_ops.project.model import Model
from compose_ops.rollout.policy import ProbeSettings, traffic
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock
from compose_ops.units import seconds

DEFAULT_GRACE = 10.0


@dataclass(frozen=True, slots=True)
class UpdateContext:
    """
    What the steps of an update need; `network` and `gateway` are names on the engine.

    Both are empty for a service that no gateway serves, `gateway` alone while it does
    not run. Times are in seconds.
    """

    engine: Engine
    project: str
    service: str
    traffic: ProbeSettings | None
    network: str
    gateway: str
    health_limit: float
    grace: float
    clock: Clock

    def containers(self) -> tuple[Container, ...]:
        """Return the service's containers, stopped ones too."""
        return tuple(
            c
            for c in self.engine.containers(project=self.project)
            if c.service == self.service
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
        return [f"{address}:{self.traffic.port}" for address in found if address]


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
    return UpdateContext(
        engine=engine,
        project=stack.project,
        service=service,
        traffic=found,
        network=_network(model, found),
        gateway=_gateway(stack, found, served=served),
        health_limit=float(limit or model.seconds_to_verdict(service)),
        grace=seconds(described.get("stop_grace_period"), DEFAULT_GRACE),
        clock=clock,
    )


def _network(model: Model, found: ProbeSettings | None) -> str:
    if found is None:
        return ""
    network = model.networks.get(found.network) or {}
    return str(network.get("name", f"{model.project}_{found.network}"))


def _gateway(stack: StackContext, found: ProbeSettings | None, *, served: bool) -> str:
    if found is None:
        return ""
    running = [
        c for c in stack.refresh() if c.service == found.gateway and c.is_running
    ]
    if not running and not served:
        return ""
    if not running:
        raise UnhealthyError(
            f"{found.gateway} does not run: nothing was changed",
            hint=f"invoke up --service {found.gateway}",
        )
    return running[0].id
