"""A store of a backup: how it is copied, and what is known of it meanwhile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from compose_ops.backup import service_control, store_commands
from compose_ops.backup.policy import Policy
from compose_ops.backup.session import Session
from compose_ops.console import say
from compose_ops.docker.api import Container, Engine


@dataclass(frozen=True, slots=True)
class Ending:
    """
    How a store ended whose container is gone: `ended` is in seconds since the epoch.

    `was_killed`: for its memory limit.
    """

    exit_code: int
    ended: float
    was_killed: bool = False


@dataclass(slots=True)
class StoreBackup:
    """
    A store that is to be backed up; `level` becomes the consistency that was reached.

    `roots` say where in each folder the data lies. `writers` are other services that
    write to it, and are stopped for the copy. `resting` holds the containers that must
    not change while the data is copied; `session` holds the store for a native copy.
    `ending` says how one without a container ended, `changed` when its data did.
    `stopped` is when its stop began, `downtime` the seconds until it was healthy again.
    """

    policy: Policy
    level: str
    forced: bool
    containers: tuple[Container, ...]
    roots: Mapping[str, str] = field(default_factory=dict)
    writers: tuple[str, ...] = ()
    exit_code: int | None = None
    count: list[int] = field(default_factory=list)
    resting: dict[str, Container] = field(default_factory=dict)
    session: Session | None = None
    ending: Ending | None = None
    changed: float = 0.0
    stopped: float | None = None
    downtime: float = 0.0

    @property
    def running(self) -> list[Container]:
        return [c for c in self.containers if c.state in service_control.LIVING]

    def note_rest(self, engine: Engine) -> None:
        """Remember its containers as they are now: they must stay so."""
        for container in self.containers:
            now = engine.container(container.id)
            if now is not None:
                self.resting[container.id] = now

    def note_count(self, engine: Engine) -> None:
        """Ask a store that runs, or ran, how much it holds."""
        for container in self.running[:1]:
            found = store_commands.count(engine, self.policy, container)
            if self.policy.count and found is None:
                say(
                    f"warning: the count command of {self.policy.service} failed: the "
                    "set has no count to compare with"
                )
            self.count += [] if found is None else [found]

    def paths(self, key: str, patterns: Sequence[str]) -> list[str]:
        """Return patterns of the data folder as those of the folder *key*."""
        root = self.roots.get(key, "")
        if not root:
            return list(patterns)
        return [f"./{root}/{pattern.removeprefix('./')}" for pattern in patterns]

    def end_session(self, key: str) -> dict[str, bytes]:
        """End the copy's time; return its files by their paths in the folder *key*."""
        if self.session is None:
            return {}
        root = self.roots.get(key, "")
        return {
            f"{root}/{path}" if root else path: data
            for path, data in self.session.stop().items()
        }
