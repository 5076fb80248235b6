"""Turn what `docker inspect` prints into the port's value types."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from compose_ops.docker.api import (
    CONFIG_HASH_LABEL,
    NUMBER_LABEL,
    PROJECT_LABEL,
    SERVICE_LABEL,
    Container,
    EngineInfo,
    Image,
    Mount,
    Network,
    Probe,
    PublishedPort,
    Usage,
    Volume,
)
from compose_ops.docker.failure import TIMED_OUT

_FRACTION = re.compile(r"\.(\d{1,6})\d*")
_SIZE = re.compile(r"([0-9.]+)\s*([kKMGTP]?i?B)")
_UNITS = {
    "B": 1,
    **{f"{p}B": 1000**n for n, p in enumerate("kMGTP", start=1)},
    **{f"{p}iB": 1024**n for n, p in enumerate("KMGTP", start=1)},
}


_NO_ANSWER = re.compile(
    r"toomanyrequests|too many requests|timeout|unexpected status.*\b(429|5\d\d)\b"
    r"|not a docker command|unknown command|unknown flag|error getting credentials",
    re.IGNORECASE,
)


def registry_answer(code: int, words: str) -> bool | None:
    """
    Read how buildx ended that looked up an image in its registry.

    None where that says nothing about the image: out of time, a registry that limits
    or is broken, a client without buildx or its credential helper. Without a network
    it is no.
    """
    if code == 0:
        return True
    return None if code == TIMED_OUT or _NO_ANSWER.search(words) else False


def timestamp(text: str) -> datetime | None:
    """Parse an RFC 3339 time of the engine; None for its zero time."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(_FRACTION.sub(r".\1", text))


def size(text: str) -> int:
    """Parse `docker stats`' sizes such as 12.3MiB into bytes."""
    match = _SIZE.search(text)
    if match is None:
        return 0
    return int(float(match[1]) * _UNITS[match[2]])


def info(data: Mapping[str, Any]) -> EngineInfo:
    return EngineInfo(
        id=data.get("ID", ""),
        version=data.get("ServerVersion", ""),
        cpus=data.get("NCPU", 0),
        memory=data.get("MemTotal", 0),
        runtimes=tuple(sorted(data.get("Runtimes") or {})),
        plugins=plugins(data.get("ClientInfo") or {}),
        raw=data,
    )


def plugins(client: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the plugins' versions out of what `docker info` says of the client."""
    return {
        plugin["Name"]: "" if plugin.get("Err") else plugin.get("Version", "")
        for plugin in client.get("Plugins") or ()
    }


def container(data: Mapping[str, Any]) -> Container:
    labels = data["Config"].get("Labels") or {}
    state = data["State"]
    health = state.get("Health") or {}
    return Container(
        id=data["Id"],
        name=data["Name"].lstrip("/"),
        project=labels.get(PROJECT_LABEL, ""),
        service=labels.get(SERVICE_LABEL, ""),
        number=int(labels.get(NUMBER_LABEL, 0)),
        image=data["Config"]["Image"],
        image_id=data["Image"],
        config_hash=labels.get(CONFIG_HASH_LABEL, ""),
        state=state["Status"],
        health="" if health.get("Status") in {None, "none"} else health["Status"],
        exit_code=state["ExitCode"],
        oom_killed=state["OOMKilled"],
        restart_count=data.get("RestartCount", 0),
        created=timestamp(data["Created"]) or datetime.fromtimestamp(0, UTC),
        started=timestamp(state["StartedAt"]),
        finished=timestamp(state["FinishedAt"]),
        labels=labels,
        networks={
            name: network.get("IPAddress", "")
            for name, network in data["NetworkSettings"]["Networks"].items()
        },
        mounts=tuple(_mount(mount) for mount in data.get("Mounts") or ()),
        published=tuple(_published(data["NetworkSettings"].get("Ports") or {})),
        probes=tuple(_probe(entry) for entry in health.get("Log") or ()),
        raw=data,
    )


def volume(data: Mapping[str, Any]) -> Volume:
    return Volume(
        name=data["Name"],
        driver=data["Driver"],
        options=data.get("Options") or {},
        labels=data.get("Labels") or {},
        created=timestamp(data.get("CreatedAt") or ""),
    )


def network(data: Mapping[str, Any]) -> Network:
    configs = (data.get("IPAM") or {}).get("Config") or ()
    return Network(
        id=data["Id"],
        name=data["Name"],
        driver=data["Driver"],
        internal=data.get("Internal", False),
        subnets=tuple(c["Subnet"] for c in configs if c.get("Subnet")),
        labels=data.get("Labels") or {},
        raw=data,
    )


def image(data: Mapping[str, Any]) -> Image:
    return Image(
        id=data["Id"],
        tags=tuple(data.get("RepoTags") or ()),
        digests=tuple(data.get("RepoDigests") or ()),
        size=data.get("Size", 0),
        labels=(data.get("Config") or {}).get("Labels") or {},
        raw=data,
    )


def usage(data: Mapping[str, str]) -> Usage:
    used, _, limit = data.get("MemUsage", "").partition("/")
    return Usage(
        container=data.get("ID", ""),
        cpu=float(data.get("CPUPerc", "0%").rstrip("%") or 0),
        memory=size(used),
        memory_limit=size(limit),
        raw=data,
    )


def _mount(data: Mapping[str, Any]) -> Mount:
    return Mount(
        kind=data["Type"],
        name=data.get("Name", ""),
        source=data.get("Source", ""),
        target=data["Destination"],
        writable=data.get("RW", True),
    )


def _published(ports: Mapping[str, Any]) -> list[PublishedPort]:
    return [
        PublishedPort(b["HostIp"], int(b["HostPort"]), int(target), protocol)
        for key, bindings in ports.items()
        for target, _, protocol in [key.partition("/")]
        for b in bindings or ()
    ]


def _probe(entry: Mapping[str, Any]) -> Probe:
    return Probe(
        start=timestamp(entry["Start"]) or datetime.fromtimestamp(0, UTC),
        code=entry["ExitCode"],
        output=entry.get("Output", "").strip(),
    )
