"""What the gateway knows about replicas, asked through its runtime socket."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compose_ops.docker.api import Container, Engine, PublishedPort
from compose_ops.errors import EngineError, EngineUnavailable, UnhealthyError
from compose_ops.runtime.health import Clock

ASK = "exec 3<>/dev/tcp/127.0.0.1/9999 && printf 'show stat\\n' >&3 && cat <&3"
PERIOD = 0.05
# More than one interval of its checks (haproxy.cfg).
CALM_SECONDS = 0.35
TOTALS = ("FRONTEND", "BACKEND")
NOWHERE = ""


@dataclass(frozen=True, slots=True)
class Server:
    """
    A replica as the gateway sees it.

    `is_admitted` says that its last check was good, `gets_requests` that it may still
    be sent some, which is so until enough checks have failed; `refuses` that its health
    page itself said no; `held` counts the requests that it was sent, or that wait.
    """

    is_admitted: bool
    gets_requests: bool
    refuses: bool
    held: int

    def with_(self, other: "Server") -> "Server":
        """Return both as one: two places of the gateway with one address."""
        return Server(
            self.is_admitted or other.is_admitted,
            self.gets_requests or other.gets_requests,
            self.refuses and other.refuses,
            self.held + other.held,
        )


def servers(engine: Engine, gateway: str) -> dict[str, Server]:
    """Return the gateway's view by `address:port`; EngineError when it is silent."""
    try:
        found, said = engine.exec_readonly(gateway, ["bash", "-c", ASK]), ""
    except EngineUnavailable:
        raise
    except EngineError as error:
        found, said = "", f"{error.message}\n{error.detail}".strip()
    if "pxname" not in found:
        raise EngineError(
            "the gateway does not say which replicas it uses",
            hint="invoke logs --service gateway; invoke restart --service gateway",
            detail=said,
        )
    return parse(found)


def parse(text: str) -> dict[str, Server]:
    """
    Read HAProxy's `show stat`.

    A place that lost its address while requests were with it is under `NOWHERE`; one
    that is not used is left out.
    """
    found: dict[str, Server] = {}
    for row in csv.DictReader(io.StringIO(text.lstrip("# "))):
        server = _server(row)
        address = row.get("addr") or NOWHERE
        if row["svname"] in TOTALS or (address == NOWHERE and not server.held):
            continue
        found[address] = found[address].with_(server) if address in found else server
    return found


def _server(row: Mapping[str, str]) -> Server:
    """Read one line; "* " stands before the last check's result while one runs."""
    status, check = row["status"], row["check_status"].removeprefix("* ")
    return Server(
        is_admitted=status.startswith("UP") and check == "L7OK",
        gets_requests=not status.startswith(("DOWN", "MAINT")),
        refuses=check == "L7STS",
        held=int(row["scur"] or 0) + int(row.get("qcur") or 0),
    )


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
        missing = [a for a in addresses if a not in seen or not seen[a].is_admitted]
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

    That is: it sends them nothing new, what it had sent has been answered, and both is
    seen twice. Where a replica is out for another reason than that its health page says
    so, its next check may bring it back: then both must hold until after that check.
    False when *limit* seconds were not enough.
    """
    deadline = clock.now() + limit
    calm: float | None = None
    while True:
        seen, now = servers(engine, gateway), clock.now()
        if not is_released(seen, addresses):
            calm = None
        elif calm is None:
            calm = now
        elif now - calm >= (0 if _all_refuse(seen, addresses) else CALM_SECONDS):
            return True
        if now > deadline:
            return False
        clock.sleep(PERIOD)


def is_released(seen: Mapping[str, Server], addresses: Sequence[str]) -> bool:
    """Say whether none of *addresses* has a request, or can get one."""
    held = [seen[a] for a in (*addresses, NOWHERE) if a in seen]
    return not any(server.gets_requests or server.held for server in held)


def _all_refuse(seen: Mapping[str, Server], addresses: Sequence[str]) -> bool:
    return all(seen[a].refuses for a in addresses if a in seen)
