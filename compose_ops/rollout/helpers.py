"""Helper containers that reach a proxy and replicas from inside their network."""

import json
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from compose_ops.docker.api import Engine, InteractiveRun, RunSpec
from compose_ops.errors import ComposeOpsError, EngineError
from compose_ops.rollout import network_helper
from compose_ops.rollout.network_helper import Values

SOURCE = Path(network_helper.__file__)
PROJECT_LABEL = "compose-ops.helper"


@dataclass(slots=True)
class Helpers:
    """
    A helper container for each container that is asked something, started when needed.

    A helper shares the network namespace of its container, so that nothing is asked of
    that container's image. `image` returns an image with python3. They end with
    `close`, or with this process: their standard input ends then.
    """

    engine: Engine
    project: str
    image: Callable[[], str]
    _open: dict[str, tuple[InteractiveRun, ExitStack]] = field(default_factory=dict)
    _locks: dict[str, RLock] = field(default_factory=dict)

    def ask(self, container: str, request: Values) -> Values:
        """
        Return the answer to *request* from inside the network of *container*.

        A helper that has ended is replaced once. Raises EngineError when none runs.
        """
        with self._lock(container):
            fresh = container not in self._open
            try:
                return self._exchange(container, request)
            except EngineError:
                self.release(container)
                if fresh:
                    raise
                return self._exchange(container, request)

    def release(self, container: str) -> None:
        """End the helper of *container*: the next request starts another one."""
        with self._lock(container):
            _, ending = self._open.pop(container, (None, None))
            if ending:
                with suppress(ComposeOpsError):
                    ending.close()

    def close(self) -> None:
        """End all helpers."""
        for container in tuple(self._open):
            self.release(container)

    def _lock(self, container: str) -> RLock:
        """Return the lock of one helper: requests to others do not wait for it."""
        return self._locks.setdefault(container, RLock())

    def _exchange(self, container: str, request: Values) -> Values:
        if container not in self._open:
            ending = ExitStack()
            run = ending.enter_context(
                self.engine.run_interactive(self._spec(container))
            )
            self._open[container] = (run, ending)
        run, _ = self._open[container]
        run.send(json.dumps(request))
        answer: Values = json.loads(run.receive())
        return answer

    def _spec(self, container: str) -> RunSpec:
        return RunSpec(
            image=self.image(),
            entrypoint="python3",
            command=("-c", SOURCE.read_text(encoding="utf-8")),
            name=f"{self.project}-network-{os.getpid()}-{container[:12]}",
            network=f"container:{container}",
            labels={PROJECT_LABEL: self.project},
        )
