"""Facts that the Docker client and the engine state about themselves."""

import os
import platform
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from json import loads
from typing import Any

from compose_ops.docker.api import EngineInfo, Output
from compose_ops.doctor.registry import NotMeasuredError, fact
from compose_ops.errors import ConfigurationError, EngineUnavailable
from compose_ops.project.model import Model
from compose_ops.runtime import config_hashes as remembered
from compose_ops.runtime.context import StackContext

INFO_SECONDS = 5.0
MODEL_SECONDS = 20.0
TIMED_OUT = 124

DESKTOPS = ("docker-desktop", "docker desktop", "orbstack", "colima", "lima-")
"""Words of hosts and systems whose virtual machines share the user's folders."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What `docker info` said, with or without an engine behind it.

    `trouble` is empty when the engine answered, else client, permission, slow, daemon
    or refused. `context` is the selected context, `host` the DOCKER_HOST or empty.
    `begun` and `ended` are seconds since the epoch around the call.
    """

    trouble: str
    words: str
    context: str = "default"
    host: str = ""
    info: EngineInfo | None = None
    begun: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True, slots=True)
class EngineLocation:
    """
    Where the engine runs, seen from here; `why` tells what says elsewhere.

    `shares_files` says that it is a virtual machine which shares this one's folders.
    """

    is_local: bool
    is_rootless: bool
    remaps_users: bool
    why: str = ""
    shares_files: bool = False


@fact(limit=INFO_SECONDS + 1)
def answer(stack: StackContext) -> Answer:
    """Ask `docker info`, unless the stack was opened with an engine's answer."""
    if stack.known is not None:
        return from_info(stack.known, os.environ)
    begun = time.time()
    try:
        output = stack.engine.docker(
            "info", "--format", "{{json .}}", timeout=INFO_SECONDS
        )
    except EngineUnavailable as missing:
        return Answer("client", missing.message)
    return parse_answer(output, begun, time.time(), os.environ)


def parse_answer(
    output: Output, begun: float, ended: float, environment: Mapping[str, str]
) -> Answer:
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


def from_info(info: EngineInfo, environment: Mapping[str, str]) -> Answer:
    """Return the answer of an engine that answered."""
    client: Mapping[str, Any] = info.raw.get("ClientInfo") or {}
    return Answer(
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


@fact(limit=INFO_SECONDS + 1)
def plugins(stack: StackContext) -> Mapping[str, str]:
    """Return the versions of the client's plugins by name; empty for a broken one."""
    return stack.plugins


@fact(limit=1)
def info(answer: Answer) -> EngineInfo:
    if answer.info is None:
        raise NotMeasuredError("no engine answers")
    return answer.info


@fact(limit=1)
def place(answer: Answer, info: EngineInfo) -> EngineLocation:
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


def is_desktop(answer: Answer, info: EngineInfo) -> bool:
    """Say whether the engine is one of the desktop products' virtual machines."""
    told = [str(info.raw.get(key, "")).lower() for key in ("Name", "OperatingSystem")]
    is_near = not answer.host or answer.host.startswith(("unix://", "npipe://"))
    return is_near and any(word in one for one in told for word in DESKTOPS)


def elsewhere(answer: Answer, info: EngineInfo, name: str, kernel: str) -> str:
    """Say why the engine is not on the machine of that name and kernel, or nothing."""
    if answer.host and not answer.host.startswith("unix://"):
        return f"DOCKER_HOST names {answer.host}"
    told = (info.raw.get("Name"), info.raw.get("KernelVersion"))
    if told != (name, kernel):
        return f"the engine runs on {told[0]} (kernel {told[1]})"
    return ""


@fact(limit=1)
def local(place: EngineLocation) -> EngineLocation:
    """Return the place, known to be this machine."""
    if not place.is_local:
        raise NotMeasuredError(f"cannot be measured from here: {place.why}")
    return place


@fact(limit=1)
def shared(place: EngineLocation) -> EngineLocation:
    """Return the place, known to see this checkout's files."""
    if not place.is_local and not place.shares_files:
        raise NotMeasuredError(f"its containers see files of elsewhere: {place.why}")
    return place


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """The merged model, or Compose's words why there is none."""

    model: Model | None
    words: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)


@fact(limit=MODEL_SECONDS)
def model_answer(stack: StackContext) -> ModelAnswer:
    try:
        return ModelAnswer(stack.model)
    except ConfigurationError as invalid:
        return ModelAnswer(None, invalid.message)
    except EngineUnavailable as missing:
        raise NotMeasuredError(missing.message) from missing


@fact(limit=1)
def model(model_answer: ModelAnswer) -> Model:
    if model_answer.model is None:
        raise NotMeasuredError("the compose files are not valid")
    return model_answer.model


@fact(limit=1)
def wanted(model: Model, scope: tuple[str, ...]) -> tuple[str, ...]:
    """Return the services in question, with what they depend on."""
    return model.dependencies(scope or tuple(model.services))


@fact(limit=MODEL_SECONDS)
def hashes(stack: StackContext, info: EngineInfo, model: Model) -> Mapping[str, str]:
    """Compose's hash of each service as the files say it; needed for what runs."""
    del info, model
    if not stack.containers or stack.other_checkout:
        raise NotMeasuredError("nothing of the project runs")
    return remembered.of(stack)


def moment(text: str) -> float | None:
    """Return an engine's time in seconds since the epoch, None when it says none."""
    found = re.fullmatch(r"(.*?)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if found is None:
        return None
    whole = datetime.fromisoformat(found[1] + found[3])
    return whole.timestamp() + float(found[2] or 0)
