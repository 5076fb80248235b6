"""What the gateway knows about replicas, asked through its runtime socket."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from jimbot_stack.engine import Container, Engine, PublishedPort
from jimbot_stack.errors import EngineError, UnhealthyError
from jimbot_stack.health import Clock

ASK = "exec 3<>/dev/tcp/127.0.0.1/9999 && printf 'show stat\\n' >&3 && cat <&3"
PERIOD = 0.1


@dataclass(frozen=True, slots=True)
class Server:
    """A replica as the gateway sees it: may it get requests, and how many it has."""

    is_up: bool
    sessions: int


def servers(engine: Engine, gateway: str) -> dict[str, Server]:
    """Return the gateway's view by `address:port`; EngineError when it is silent."""
    output = engine.execute(gateway, ["bash", "-c", ASK], timeout=10)
    if output.code != 0 or "pxname" not in output.stdout:
        raise EngineError(
            "the gateway does not say which replicas it uses",
            hint="invoke logs --service gateway; invoke restart --service gateway",
            detail=output.stderr.strip(),
        )
    return parse(output.stdout)


def parse(text: str) -> dict[str, Server]:
    """Read HAProxy's `show stat`, in which unused places have no address."""
    rows = csv.DictReader(io.StringIO(text.lstrip("# ")))
    return {
        row["addr"]: Server(
            is_up=row["status"].startswith("UP") and row["check_status"] == "L7OK",
            sessions=int(row["scur"] or 0),
        )
        for row in rows
        if row.get("addr")
    }


def entrance(container: Container, port: int) -> PublishedPort | None:
    """Return where the host reaches the gateway's *port*, None when it is closed."""
    return next((p for p in container.published if p.target == port), None)


def wait_admitted(
    engine: Engine, gateway: str, addresses: Sequence[str], clock: Clock, limit: float
) -> None:
    """Return when the gateway sends requests to all of *addresses*."""
    deadline = clock.now() + limit
    while True:
        seen = servers(engine, gateway)
        missing = [a for a in addresses if a not in seen or not seen[a].is_up]
        if not missing:
            return
        if clock.now() > deadline:
            raise UnhealthyError(
                f"the gateway does not take {missing[0]} within {limit:.0f} s",
                hint="invoke logs --service gateway shows what its check got",
            )
        clock.sleep(PERIOD)


def wait_released(
    engine: Engine, gateway: str, addresses: Sequence[str], clock: Clock, limit: float
) -> bool:
    """
    Return True when the gateway has let go of all of *addresses*.

    That is: it sends them nothing new, and what it had sent has been answered. False
    when *limit* seconds were not enough.
    """
    deadline = clock.now() + limit
    while True:
        seen = servers(engine, gateway)
        held = [seen[a] for a in addresses if a in seen]
        if not any(server.is_up or server.sessions for server in held):
            return True
        if clock.now() > deadline:
            return False
        clock.sleep(PERIOD)
