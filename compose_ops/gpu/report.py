"""What `invoke gpu-check` finds."""

from dataclasses import dataclass
from typing import Any

from compose_ops.errors import UsageError
from compose_ops.gpu import sequence
from compose_ops.gpu.collect import Collector
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import Row


@dataclass(frozen=True, slots=True)
class GpuReport:
    """The checks of a service's GPU in order; what follows a failure is skipped."""

    service: str
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """Return {"service", "checks": [...]}, one entry per check in order."""
        return {
            "service": self.service,
            "checks": [row.as_json() for row in self.rows],
        }


def check(stack: StackContext, service: str, *, require: bool = False) -> GpuReport:
    """
    Run the checks for a service, by default the one that the project configures.

    Raises UsageError for one that is not in the model; *require* makes a machine
    without a GPU a failure.
    """
    name = service or stack.config.gpu.service
    if not name:
        raise UsageError(
            "name the service whose GPU is to be checked: --service NAME",
            hint="gpu.service in compose-ops.toml makes it the default",
        )
    stack.model.service(name)
    rows = sequence.run(Collector(stack, name), require=require)
    return GpuReport(name, rows)
