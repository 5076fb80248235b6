"""HAProxy as a gateway, by its runtime API: what it uses, and how that drains."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from compose_ops.errors import ConfigurationError, UnhealthyError
from compose_ops.runtime.health import Clock

PERIOD = 0.05
# More than one interval of its checks.
CALM_SECONDS = 0.35
# How long a stopped replica may take to be seen as down.
FORGET_SECONDS = 10.0
TOTALS = ("FRONTEND", "BACKEND")
PASSED = frozenset({"L4OK", "L6OK", "L7OK", "L7OKC"})
NOWHERE = ""
API_LINE = "stats socket ipv4@127.0.0.1:{port} level admin"
NOBODY = "compose-ops/permission"


class GatewayUnfit(ConfigurationError):  # noqa: N818 - names a state
    """The gateway lacks what an update needs; the hint has the lines to add."""


class GatewayFails(UnhealthyError):  # noqa: N818 - names a state
    """Requests fail at the gateway, or do not get there, before anything is changed."""


@dataclass(frozen=True, slots=True)
class Server:
    """
    A replica as the gateway sees it.

    `names` are its servers there, BACKEND/SERVER. `is_admitted` says that its last
    check was good, `gets_requests` that it may still be sent some, which is so until
    enough checks have failed or it drains; `stays_out` that no check brings it back by
    itself: it drains, or its health page itself said no. `held` counts its sessions,
    and the requests that wait for it.
    """

    names: tuple[str, ...]
    is_admitted: bool
    gets_requests: bool
    stays_out: bool
    is_draining: bool
    held: int

    def with_(self, other: "Server") -> "Server":
        """Return both as one: two servers of the gateway with one address."""
        return Server(
            (*self.names, *other.names),
            self.is_admitted or other.is_admitted,
            self.gets_requests or other.gets_requests,
            self.stays_out and other.stays_out,
            self.is_draining or other.is_draining,
            self.held + other.held,
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """Where a server is, and how many answers it gave since the gateway began."""

    address: str
    answers: int
    failed: int


@dataclass(frozen=True, slots=True)
class HAProxy:
    """
    A running HAProxy; `ask` sends a command to its runtime API and returns the answer.

    `ask` raises UnhealthyError when the API does not answer. Times are in seconds.
    """

    service: str
    port: int
    ask: Callable[[str], str]
    clock: Clock

    def servers(self) -> dict[str, Server]:
        """Return the gateway's view by `address:port`."""
        return parse(self._statistics())

    def totals(self) -> dict[str, Totals]:
        """Return what each server answered, by BACKEND/SERVER; `failed` are 5xx."""
        return {_name(row): _totals(row) for row in _rows(self._statistics())}

    def can_drain(self) -> bool:
        """Say whether the API may change the state of servers."""
        return "ermission" not in self.ask(f"set server {NOBODY} state ready")

    def require(self, addresses: Sequence[str], places: int) -> None:
        """
        Raise GatewayUnfit for what keeps the gateway from serving the update.

        *addresses* are those of replicas that serve now; *places* is how many replicas
        will be attached at most.
        """
        rows = _rows(self._statistics())
        found = parse_rows(rows)
        if not addresses:
            return
        missing = [a for a in addresses if a not in found]
        if missing:
            raise GatewayUnfit(
                f"{self.service} has no server at {missing[0]}: it does not follow "
                "which replicas there are",
                hint=f"its backend needs: {_template(missing[0], places)}",
            )
        used = {n.partition("/")[0] for a in addresses for n in found[a].names}
        for backend in sorted(used):
            slots = [r for r in rows if r["pxname"] == backend]
            if len(slots) < places:
                raise GatewayUnfit(
                    f"backend {backend} of {self.service} has {len(slots)} servers, "
                    f"and the update needs {places} at a time",
                    hint=f"its backend needs: {_template(addresses[0], places)}",
                )
            if not any(r["check_status"] for r in slots):
                raise GatewayUnfit(
                    f"backend {backend} of {self.service} does not check its servers",
                    hint="add to the backend: default-server check inter 250ms",
                )

    def wait_admitted(self, addresses: Sequence[str], limit: float) -> None:
        """Return when *addresses* get requests; UnhealthyError if *limit* passed."""
        deadline = self.clock.now() + limit
        while True:
            seen = self.servers()
            self._end_drain(seen, addresses)
            missing = [a for a in addresses if a not in seen or not seen[a].is_admitted]
            if not missing:
                return
            if self.clock.now() > deadline:
                raise UnhealthyError(
                    f"the gateway did not admit {missing[0]} within {limit:.0f} s",
                    hint=f"invoke logs --service {self.service} shows the results of "
                    "its health check",
                )
            self.clock.sleep(PERIOD)

    def end_drain(self, addresses: Sequence[str]) -> None:
        """
        Let *addresses* get new requests again.

        So do the free servers of their backends: what was killed as it drained a
        replica left them behind.
        """
        rows, seen = _rows(self._statistics()), self.servers()
        self._end_drain(seen, addresses)
        backends = {row["pxname"] for row in rows if row.get("addr") in addresses}
        free = [
            row
            for row in rows
            if row["pxname"] in backends and row.get("addr", NOWHERE) == NOWHERE
        ]
        self._set([_name(row) for row in free], "ready")

    def _end_drain(self, seen: Mapping[str, Server], addresses: Sequence[str]) -> None:
        draining = (seen[a] for a in addresses if a in seen and seen[a].is_draining)
        self._set([name for server in draining for name in server.names], "ready")

    def drain(self, addresses: Sequence[str]) -> tuple[str, ...]:
        """Send *addresses* no new requests; return their servers, for `ready`."""
        seen = self.servers()
        names = tuple(n for a in addresses if a in seen for n in seen[a].names)
        self._set(names, "drain")
        return names

    def wait_released(self, addresses: Sequence[str], limit: float) -> bool:
        """
        Return True when the gateway has released all of *addresses*.

        That is: it sends them nothing new, what it had sent has been answered, and both
        is seen twice. Where a replica is out for another reason than draining or its
        health page, its next check may bring it back: then both must hold until after
        that check. False when *limit* seconds were not enough.
        """
        deadline = self.clock.now() + limit
        calm: float | None = None
        while True:
            seen, now = self.servers(), self.clock.now()
            if not is_released(seen, addresses):
                calm = None
            elif calm is None:
                calm = now
            elif now - calm >= (0 if _stay_out(seen, addresses) else CALM_SECONDS):
                return True
            if now > deadline:
                return False
            self.clock.sleep(PERIOD)

    def still_used(self, addresses: Sequence[str]) -> str:
        """Return one of *addresses* that may get new requests, "" for none."""
        seen = self.servers()
        used = (a for a in addresses if a in seen and seen[a].gets_requests)
        return next(used, "")

    def cut(self, addresses: Sequence[str]) -> int:
        """End all sessions of *addresses*; return how many there were."""
        seen = self.servers()
        there = [seen[a] for a in addresses if a in seen]
        for name in (n for server in there for n in server.names):
            self.ask(f"shutdown sessions server {name}")
        return sum(server.held for server in there)

    def ready(self, names: Sequence[str]) -> None:
        """
        Let *names* be used again once what they stood for has ended.

        Their drain would otherwise hold for the next replica that gets such a server.
        """
        deadline = self.clock.now() + FORGET_SECONDS
        waiting = set(names)
        while waiting:
            rows = {
                f"{r['pxname']}/{r['svname']}": r for r in _rows(self._statistics())
            }
            gone = {
                n
                for n in waiting
                if n not in rows or rows[n]["status"].startswith(("DOWN", "MAINT"))
            }
            if self.clock.now() > deadline:
                gone = waiting
            self._set(sorted(gone & rows.keys()), "ready")
            waiting = waiting - gone
            if waiting:
                self.clock.sleep(PERIOD)

    def _set(self, names: Sequence[str], state: str) -> None:
        for name in names:
            if answer := self.ask(f"set server {name} state {state}").strip():
                raise UnhealthyError(
                    f"the gateway refused to set {name} to {state}: {answer}",
                    hint=f"its global section needs: {API_LINE.format(port=self.port)}",
                )

    def _statistics(self) -> str:
        found = self.ask("show stat")
        if "pxname" not in found:
            raise UnhealthyError(
                f"{self.service} does not say which replicas it uses: {found.strip()}",
                hint=f"its global section needs: {API_LINE.format(port=self.port)}",
            )
        return found


def parse(text: str) -> dict[str, Server]:
    """
    Read the servers of `show stat` by address.

    A server that lost its address while requests were with it is under `NOWHERE`; one
    that is not used is left out.
    """
    return parse_rows(_rows(text))


def parse_rows(rows: Sequence[Mapping[str, str]]) -> dict[str, Server]:
    """Return servers by address, from the lines of the statistics."""
    found: dict[str, Server] = {}
    for row in rows:
        server = _server(row)
        address = row.get("addr") or NOWHERE
        if address == NOWHERE and not server.held:
            continue
        found[address] = found[address].with_(server) if address in found else server
    return found


def is_released(seen: Mapping[str, Server], addresses: Sequence[str]) -> bool:
    """Say whether none of *addresses* has a request, or can get one."""
    held = [seen[a] for a in (*addresses, NOWHERE) if a in seen]
    return not any(server.gets_requests or server.held for server in held)


def _rows(text: str) -> list[dict[str, str]]:
    """Return the lines of `show stat` that stand for a server."""
    lines = csv.DictReader(io.StringIO(text.lstrip("# ")))
    return [row for row in lines if row["svname"] not in TOTALS]


def _server(row: Mapping[str, str]) -> Server:
    """Read one line; "* " stands before the last check's result while one runs."""
    status, check = row["status"], row["check_status"].removeprefix("* ")
    return Server(
        names=(_name(row),),
        is_admitted=status.startswith("UP") and check in PASSED,
        gets_requests=not status.startswith(("DOWN", "MAINT", "DRAIN", "NOLB")),
        stays_out=status.startswith("DRAIN") or check == "L7STS",
        is_draining=status.startswith("DRAIN"),
        held=int(row["scur"] or 0) + int(row.get("qcur") or 0),
    )


def _totals(row: Mapping[str, str]) -> Totals:
    """Read one line; a server that speaks no HTTP counts its sessions."""
    kinds = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
    counts = [int(row.get(f"hrsp_{kind}") or 0) for kind in kinds]
    answers = sum(counts) or int(row.get("stot") or 0)
    return Totals(row.get("addr") or NOWHERE, answers, counts[4])


def _name(row: Mapping[str, str]) -> str:
    return f"{row['pxname']}/{row['svname']}"


def _stay_out(seen: Mapping[str, Server], addresses: Sequence[str]) -> bool:
    return all(seen[a].stays_out for a in addresses if a in seen)


def _template(address: str, places: int) -> str:
    port = address.rpartition(":")[2]
    return (
        f"server-template app 1-{max(places, 16)} SERVICE:{port} check "
        "resolvers engine init-addr none"
    )
