"""The runtime API of a gateway, asked from inside its network."""

from dataclasses import dataclass
from datetime import datetime

from compose_ops.docker.api import Engine
from compose_ops.errors import EngineError, EngineUnavailable, UnhealthyError
from compose_ops.rollout.helpers import Helpers
from compose_ops.rollout.network_helper import Values
from compose_ops.rollout.proxy.haproxy import API_LINE
from compose_ops.runtime import health

SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class RuntimeApi:
    """
    The API at `port` of the loopback of `container`, which runs `service`.

    `started` is when the container was started at the time that the update began.
    """

    engine: Engine
    helpers: Helpers
    service: str
    container: str
    port: int
    started: datetime | None = None

    def ask(self, command: str) -> str:
        """
        Return the answer to *command*.

        Raises UnhealthyError, with the state of the gateway, when there is none.
        """
        try:
            answer = self._answer(command)
        except EngineUnavailable:
            raise
        except EngineError as error:
            if wrong := self.failure():
                raise UnhealthyError(wrong, detail=error.message) from error
            raise
        if "text" in answer:
            return str(answer["text"])
        raise UnhealthyError(
            self.failure()
            or f"{self.service} does not answer on its runtime API, port "
            f"{self.port}: {answer['error']}",
            hint=f"its global section needs: {API_LINE.format(port=self.port)}",
        )

    def failure(self) -> str:
        """Return why the gateway serves nobody, or lost requests; "" for no reason."""
        found = self.engine.container(self.container)
        if found is None:
            return f"the gateway {self.service} was removed during the update"
        if not found.is_running:
            return f"the gateway {self.service} {health.cause(found)}"
        if self.started and found.started != self.started:
            return f"the gateway {self.service} was restarted during the update"
        return ""

    @property
    def is_running(self) -> bool:
        found = self.engine.container(self.container)
        return found is not None and found.is_running

    def _answer(self, command: str) -> Values:
        """Ask again from a new helper: a gateway that restarted has a new network."""
        request = {
            "kind": "runtime",
            "port": self.port,
            "command": command,
            "timeout": SECONDS,
        }
        answer = self.helpers.ask(self.container, request)
        if "error" in answer:
            self.helpers.release(self.container)
            answer = self.helpers.ask(self.container, request)
        return answer
