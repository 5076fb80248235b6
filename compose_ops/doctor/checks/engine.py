"""The engine: it answers, is recent enough, agrees on the time, and is local."""

import re
from collections.abc import Iterator, Mapping, Sequence

from compose_ops.docker.api import EngineInfo
from compose_ops.doctor.facts.engine import ModelAnswer
from compose_ops.doctor.registry import check
from compose_ops.errors import START_ENGINE
from compose_ops.runtime.engine_location import EngineAnswer, EngineLocation
from compose_ops.units import parse_time
from compose_ops.verdicts import ENGINE, Verdict, fail, ok, skip, warn

INSTALL = START_ENGINE

MINIMUM = {
    "engine": ((25, 0), "health checks use start_interval, which Engine 25.0 brought"),
    "compose": ((2, 24, 4), "the overlays use !override, which Compose 2.24.4 brought"),
    "buildx": ((0, 8), "offline builds swap FROM by named contexts, new in Buildx 0.8"),
}
"""Minimum versions with their reasons; sources: Engine API 1.44 in moby's API history,
compose-go 2.0.0-rc.3, Docker's docs of `docker buildx build --build-context`."""

SKEW_SECONDS = 2.0

TROUBLE = {
    "client": ("no docker client is on PATH", INSTALL),
    "permission": (
        "this user has no permission for Docker's socket",
        'sudo usermod -aG docker "$USER" && newgrp docker',
    ),
    "slow": ("the Docker Engine does not answer in time", INSTALL),
    "daemon": ("no Docker Engine answers", INSTALL),
    "refused": ("the Docker Engine refused the request", "docker info"),
}


@check(
    "engine-answers",
    "The Docker Engine answers this user.",
    why="Without it no task can run and nothing can be measured.",
)
def engine_answers(answer: EngineAnswer) -> Iterator[Verdict]:
    if not answer.trouble:
        yield ok(f"Docker Engine {answer.info.version if answer.info else ''} answers")
        return
    detail, repair = TROUBLE[answer.trouble]
    where = f" at {answer.host}" if answer.host else ""
    if answer.trouble == "daemon" and answer.host:
        repair = "unset DOCKER_HOST"
    elif answer.trouble == "daemon" and answer.context not in {"", "default"}:
        repair = "docker context use default"
    words = f": {answer.words}" if answer.words else ""
    about = f"{ENGINE}{answer.trouble}{where}"
    yield fail(f"{detail}{where}{words}", repair, about=about)


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version such as v0.13.1+ds1."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def judge_version(what: str, version: str) -> Verdict:
    """Compare a version with its minimum; an empty one means that it is absent."""
    minimum, reason = MINIMUM[what]
    least = ".".join(map(str, minimum))
    if not version:
        detail = f"{what} is missing: {reason}"
        return fail(detail, INSTALL, about=f"{ENGINE}{what} missing")
    if numbers(version) < minimum:
        detail = f"{what} {version} is too old, {least} is the minimum: {reason}"
        return fail(detail, INSTALL, about=f"{ENGINE}{what} {version}")
    return ok(f"{what} {version}")


@check(
    "engine-version",
    "The engine is 25.0 or newer.",
    why="Health checks use start_interval; an older engine refuses it.",
)
def engine_version(info: EngineInfo) -> Iterator[Verdict]:
    yield judge_version("engine", info.version)


@check(
    "compose-version",
    "The Compose plugin is 2.24.4 or newer.",
    why="Older ones do not know the overlays' !override and refuse the files.",
)
def compose_version(plugins: Mapping[str, str]) -> Iterator[Verdict]:
    yield judge_version("compose", plugins.get("compose", ""))


@check(
    "buildx-version",
    "The Buildx plugin is 0.8 or newer.",
    why="Builds name other images as contexts.",
)
def buildx_version(plugins: Mapping[str, str]) -> Iterator[Verdict]:
    yield judge_version("buildx", plugins.get("buildx", ""))


@check(
    "engine-place",
    "The engine runs on this machine, as root, without user remapping.",
    why="Binds and secrets are paths of the engine's machine; with remapped users "
    "their owners differ.",
)
def engine_place(answer: EngineAnswer, place: EngineLocation) -> Iterator[Verdict]:
    if place.shares_files:
        yield skip(f"{place.why}, a virtual machine: its inside is not measured")
        return
    if not place.is_local:
        repair = "unset DOCKER_HOST" if answer.host else "docker context use default"
        detail = f"{place.why}: its containers do not see this checkout's files"
        yield warn(detail, repair, about="remote")
        return
    if place.is_rootless or place.remaps_users:
        kind = "is rootless" if place.is_rootless else "remaps users"
        yield ok(f"the engine {kind}: owners of files are not judged")
        return
    context = "" if answer.context == "default" else f" (context {answer.context})"
    yield ok(f"the engine runs on this machine{context}")


@check(
    "engine-limits",
    "The engine can limit memory and CPU.",
    why="Without these controllers the limits in the compose files have no effect.",
)
def engine_limits(info: EngineInfo) -> Iterator[Verdict]:
    wanted = {"MemoryLimit": "memory", "CpuCfsQuota": "CPU"}
    absent = [name for key, name in wanted.items() if info.raw.get(key) is False]
    version, driver = info.raw.get("CgroupVersion"), info.raw.get("CgroupDriver")
    if absent:
        options = info.raw.get("SecurityOptions") or ()
        is_rootless = any("name=rootless" in option for option in options)
        yield fail(
            f"the engine cannot limit {' and '.join(absent)} (cgroup v{version})",
            limits_repair(absent, is_rootless=is_rootless),
            about=" ".join(absent),
        )
    else:
        yield ok(f"cgroup v{version} with the {driver} driver limits memory and CPU")


def limits_repair(absent: Sequence[str], *, is_rootless: bool) -> str:
    """
    Return what gives the engine its controllers; a new start of the machine follows.

    Docker's documentation, Rootless mode, Limiting resources; Linux post-installation.
    """
    if is_rootless:
        folder = "/etc/systemd/system/user@.service.d"
        text = "[Service]\\nDelegate=cpu cpuset io memory pids\\n"
        return (
            f"sudo mkdir -p {folder} && printf '{text}' | "
            f"sudo tee {folder}/delegate.conf && sudo systemctl daemon-reload"
        )
    if "memory" in absent:
        return (
            "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&cgroup_enable=memory /' "
            "/etc/default/grub && sudo update-grub"
        )
    return 'grep CFS_BANDWIDTH "/boot/config-$(uname -r)"'


@check(
    "storage-driver",
    "Images are stored with overlay2 or another driver that shares layers.",
    why="vfs copies every layer whole: this stack's images take many times their size.",
)
def storage_driver(info: EngineInfo) -> Iterator[Verdict]:
    driver = str(info.raw.get("Driver", ""))
    if driver in {"vfs", "aufs", "devicemapper"}:
        root = info.raw.get("DockerRootDir")
        yield warn(
            f"the storage driver is {driver}, not overlay2 ({root} does not support "
            "it)",
            "docker info --format '{{.Driver}} {{.DriverStatus}}'",
            about=driver,
        )
    else:
        yield ok(f"storage driver {driver}")


@check(
    "forwarding",
    "The kernel forwards packets.",
    why="Without forwarding no container reaches a network and no published port "
    "works.",
)
def forwarding(info: EngineInfo) -> Iterator[Verdict]:
    if info.raw.get("IPv4Forwarding") is False:
        yield fail("IPv4 forwarding is off", "sudo sysctl -w net.ipv4.ip_forward=1")
    else:
        yield ok("IPv4 forwarding is on")


@check(
    "clock",
    "The engine's clock agrees with this machine's.",
    why="Certificates, ages of backups and times of events are compared across both.",
)
def clock(answer: EngineAnswer, info: EngineInfo) -> Iterator[Verdict]:
    engine_time = parse_time(str(info.raw.get("SystemTime", "")))
    if engine_time is None:
        return
    ahead = max(answer.begun - engine_time, engine_time - answer.ended, 0.0)
    if ahead > SKEW_SECONDS:
        yield warn(
            f"the engine's clock is {ahead:.0f} s away from this machine's",
            "sudo timedatectl set-ntp true",
            about="clock",
        )
    else:
        yield ok("the engine's clock agrees with this machine's")


@check(
    "model-valid",
    "Compose accepts the files of this mode.",
    why="Every task starts from the merged model.",
)
def model_valid(model_answer: ModelAnswer) -> Iterator[Verdict]:
    if model_answer.model is None:
        yield fail(model_answer.words, "invoke lint", about=model_answer.words)
    else:
        count = len(model_answer.model.services)
        yield ok(f"the compose files are valid: {count} services")
