"""What an engine answers, and whether it runs on this machine."""

import os
import platform
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from json import loads
from typing import Any

from compose_ops.docker.api import Endpoint, EngineInfo, Output
from compose_ops.errors import ComposeOpsError, EngineUnavailable
from compose_ops.runtime.context import StackContext

INFO_SECONDS = 5.0
TIMED_OUT = 124

DESKTOPS = ("docker-desktop", "docker desktop", "orbstack", "colima", "lima-")
"""Words of hosts and systems whose virtual machines share the user's folders."""


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """
    What `docker info` printed, with or without an engine behind it.

    `trouble` is empty when the engine answered, else client, permission, slow, daemon
    or refused. `context` is the selected context, `host` the DOCKER_HOST or empty;
    `endpoint` is the address of the engine of a context, "" for the default one.
    `begun` and `ended` are seconds since the epoch around the call.
    """

    trouble: str
    words: str
    context: str = "default"
    host: str = ""
    endpoint: str = ""
    info: EngineInfo | None = None
    begun: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True, slots=True)
class EngineLocation:
    """
    Where the engine runs, seen from here; `why` is the reason where it is elsewhere.

    `shares_files` says that it is a virtual machine which shares this one's folders.
    """

    is_local: bool
    is_rootless: bool
    remaps_users: bool
    why: str = ""
    shares_files: bool = False


def ask_engine(stack: StackContext) -> EngineAnswer:
    """Ask `docker info`, unless the stack was opened with an engine's answer."""
    if stack.known is not None:
        return _with_endpoint(stack, from_info(stack.known, os.environ))
    begun = time.time()
    try:
        output = stack.engine.docker(
            "info", "--format", "{{json .}}", timeout=INFO_SECONDS
        )
    except EngineUnavailable as missing:
        return EngineAnswer("client", missing.message)
    answer = parse_answer(output, begun, time.time(), os.environ)
    return _with_endpoint(stack, answer)


def _with_endpoint(stack: StackContext, answer: EngineAnswer) -> EngineAnswer:
    """Add the address of a context's engine; the default one is a local socket."""
    if answer.host or answer.context in {"", "default"}:
        return answer
    try:
        return replace(answer, endpoint=stack.engine.endpoint().host)
    except ComposeOpsError:
        return answer


def parse_answer(
    output: Output, begun: float, ended: float, environment: Mapping[str, str]
) -> EngineAnswer:
    """Read `docker info` in JSON, which is printed also when no engine answers."""
    data: dict[str, Any] = {}
    if output.stdout.lstrip().startswith("{"):
        data = loads(output.stdout)
    errors = " ".join(data.get("ServerErrors") or ()) or output.stderr.strip()
    asked = EngineInfo(
        id=data.get("ID", ""),
        version=data.get("ServerVersion", ""),
        cpus=data.get("NCPU", 0),
        memory=data.get("MemTotal", 0),
        runtimes=tuple(sorted(data.get("Runtimes") or {})),
        raw=data,
        seen=(begun, ended),
    )
    trouble = _trouble(output.code, errors, has_server=bool(asked.id))
    answer = from_info(asked, environment)
    if not trouble:
        return answer
    words = errors.splitlines()[0] if errors else ""
    return replace(answer, trouble=trouble, words=words, info=None)


def from_info(info: EngineInfo, environment: Mapping[str, str]) -> EngineAnswer:
    """Return the answer of an engine that answered."""
    client: Mapping[str, Any] = info.raw.get("ClientInfo") or {}
    return EngineAnswer(
        trouble="",
        words="",
        context=client.get("Context", "default"),
        host=environment.get("DOCKER_HOST", ""),
        info=info,
        begun=info.seen[0],
        ended=info.seen[1],
    )


def _trouble(code: int, errors: str, *, has_server: bool) -> str:
    if code == TIMED_OUT:
        return "slow"
    if "permission denied" in errors.lower():
        return "permission"
    if has_server and not errors:
        return ""
    known = re.search(
        r"cannot connect|error during connect|dial|refused|EOF", errors, re.IGNORECASE
    )
    return "daemon" if known or not errors else "refused"


def location(answer: EngineAnswer, info: EngineInfo) -> EngineLocation:
    """Return where the engine that gave *answer* runs, seen from this machine."""
    options = info.raw.get("SecurityOptions") or ()
    named = {option.partition(",")[0].removeprefix("name=") for option in options}
    why = elsewhere(answer, info, socket.gethostname(), platform.release())
    return EngineLocation(
        is_local=not why,
        is_rootless="rootless" in named,
        remaps_users="userns" in named,
        why=why,
        shares_files=bool(why) and is_desktop(answer, info),
    )


def is_desktop(answer: EngineAnswer, info: EngineInfo) -> bool:
    """Say whether the engine is one of the desktop products' virtual machines."""
    names = [str(info.raw.get(key, "")).lower() for key in ("Name", "OperatingSystem")]
    return not remote_address(answer) and any(
        word in name for name in names for word in DESKTOPS
    )


def remote_address(answer: EngineAnswer) -> str:
    """Say which address of another machine is selected; also where none answers."""
    for reason, address in (
        (f"DOCKER_HOST names {answer.host}", answer.host),
        (f"the context {answer.context} names {answer.endpoint}", answer.endpoint),
    ):
        if address and not Endpoint("", address).is_local:
            return reason
    return ""


def elsewhere(answer: EngineAnswer, info: EngineInfo, name: str, kernel: str) -> str:
    """Say why the engine is not on the machine of that name and kernel, or nothing."""
    if address := remote_address(answer):
        return address
    found = (info.raw.get("Name"), info.raw.get("KernelVersion"))
    if found != (name, kernel):
        return f"the engine runs on {found[0]} (kernel {found[1]})"
    return ""
