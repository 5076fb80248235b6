"""What `up` checks before it changes anything; all failures are reported together."""

import errno
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network

from jimbot_stack import environment
from jimbot_stack.engine import Container, Network
from jimbot_stack.errors import ConfigurationError, EngineUnavailable
from jimbot_stack.model import Model, Port
from jimbot_stack.stack import Stack

MINIMUM_ENGINE = (25, 0)
MINIMUM_COMPOSE = (2, 24, 4)
REGISTRY_SECONDS = 5.0
BUILT_HERE = "localhost/"  # the offline images; `up` builds those that lack


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason not to start, and what mends it."""

    what: str
    repair: str


def require(problems: Iterable[Problem]) -> None:
    """Raise one ConfigurationError that names every problem."""
    found = list(problems)
    if not found:
        return
    lines = [f"  - {problem.what}\n    {problem.repair}" for problem in found]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    raise ConfigurationError(
        f"{found[0].what}{more}",
        hint=found[0].repair,
        detail="\n".join(lines) if more else "",
    )


def check_versions(stack: Stack) -> None:
    """
    Raise EngineUnavailable for an engine or Compose that is too old.

    Engine 25 brought `start_interval`; Compose 2.24.4 brought `!override`.
    """
    engine = stack.info.version
    compose = stack.info.plugins.get("compose", "")
    if numbers(engine) < MINIMUM_ENGINE:
        raise EngineUnavailable(
            f"Docker Engine {engine} is too old, 25.0 is the minimum",
            hint="upgrade it; ./scripts/engine.sh --help says how on Debian",
        )
    if numbers(compose) < MINIMUM_COMPOSE:
        raise EngineUnavailable(
            f"Docker Compose {compose or '(none)'} is too old, 2.24.4 is the minimum",
            hint="upgrade the compose plugin",
        )


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version such as 26.1.5+dfsg1."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def file_problems(stack: Stack) -> Iterable[Problem]:
    """Yield what `.env` and the secrets lack."""
    for name in environment.missing(stack.root):
        yield Problem(f"{name} is not set in .env", "invoke init adds what is missing")
    used = {
        s["source"]
        for v in stack.model.services.values()
        for s in v.get("secrets") or ()
    }
    for key, secret in (stack.model.raw.get("secrets") or {}).items():
        file = secret.get("file")
        if key in used and file and not _is_file(file):
            yield Problem(
                f"the secret {key} has no file {file}", "invoke init makes it"
            )


def port_problems(
    ports: Iterable[Port], containers: Iterable[Container], project: str
) -> Iterable[Problem]:
    """Yield each wanted port that somebody else holds, naming the holder."""
    held = {
        (p.port, p.protocol): c for c in containers if c.is_running for p in c.published
    }
    for port in ports:
        holder = held.get((port.published, port.protocol))
        if port.published == 0 or (holder and holder.project == project):
            continue
        if holder:
            who = f"the container {holder.name}"
        elif _is_taken(port):
            who = "another process"
        else:
            continue
        yield Problem(
            f"port {port.published} of {port.service} is held by {who}",
            "stop it, or set another port in .env; "
            f"ss -ltnp 'sport = :{port.published}' names it",
        )


def subnet_problems(
    model: Model, networks: Iterable[Network], project: str
) -> Iterable[Problem]:
    """Yield each subnet that a network of another project overlaps."""
    others = [
        (n.name, ip_network(subnet))
        for n in networks
        if n.labels.get("com.docker.compose.project") != project
        for subnet in n.subnets
        if ":" not in subnet
    ]
    for key, network in model.networks.items():
        for config in (network.get("ipam") or {}).get("config") or ():
            mine = IPv4Network(config["subnet"])
            for name, subnet in others:
                if subnet.overlaps(mine):
                    yield Problem(
                        f"the subnet {mine} of {key} overlaps {subnet} of {name}",
                        "set other subnets in .env, or remove that network",
                    )


def image_problems(stack: Stack, services: Iterable[str]) -> Iterable[Problem]:
    """Yield a problem for a public image that is neither here nor in a registry."""
    wanted = {
        str(service["image"])
        for service in map(stack.model.service, services)
        if service.get("image") and not service.get("build")
        if not str(service["image"]).startswith(BUILT_HERE)
    }
    for reference in sorted(wanted - set(stack.engine.images(wanted))):
        if not stack.engine.registry_answers(reference, timeout=REGISTRY_SECONDS):
            yield Problem(
                f"the image {reference} is not here and no registry answers for it",
                "invoke up --offline runs the stack on stand-ins",
            )
            return


def _is_file(path: str) -> bool:
    try:
        with open(path, "rb"):  # noqa: PTH123 - opening proves that it can be read
            return True
    except OSError:
        return False


def _is_taken(port: Port) -> bool:
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host or "0.0.0.0", port.published))  # noqa: S104
        except OSError as refused:
            return refused.errno == errno.EADDRINUSE
    return False
