"""What a container may do to its host."""

from collections.abc import Iterator

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.target import LintTarget, Service

STEP_DOWN = frozenset({"CHOWN", "SETUID", "SETGID", "DAC_OVERRIDE", "NET_BIND_SERVICE"})
SOCKETS = ("docker.sock", "containerd.sock", "podman.sock")


def capabilities(service: Service, key: str) -> set[str]:
    """Return capabilities in capitals and without their prefix."""
    found = service.get(key, default=[])
    return {str(one).upper().removeprefix("CAP_") for one in found}


@rule(
    "root-user",
    "warning",
    "The service runs as root.",
    why="Root in a container is root of the host wherever a mount or a fault in the "
    "kernel lets it out. An image that steps down by itself does not count.",
    source="CIS Docker Benchmark 4.1",
    repair="`USER` in the Dockerfile, or `user:` in the compose file.",
    needs=("model", "image"),
)
def root_user(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        stated = service.get("user")
        if stated is None and service.facts.steps_down:
            continue
        name = str(stated).split(":")[0] if stated is not None else service.facts.user
        if name in {"root", "0", ""}:
            yield RawFinding(
                service.path("user"),
                f"{service.name} runs as root",
                "" if stated is None else "note",
            )


@rule(
    "new-privileges",
    "note",
    "`no-new-privileges` is missing.",
    why="Without it a setuid program in the image makes a user of the container root.",
    source="CIS Docker Benchmark 5.25; docs.kernel.org, no_new_privs",
    repair='`security_opt: ["no-new-privileges:true"]`',
)
def new_privileges(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        options = [
            str(one).replace("=", ":")
            for one in service.get("security_opt", default=[])
        ]
        if not {"no-new-privileges", "no-new-privileges:true"} & set(options):
            yield RawFinding(
                service.path("security_opt"), f"{service.name} may gain new privileges"
            )


@rule(
    "capability-added",
    "warning",
    "A capability is added.",
    why="Each one opens a part of the kernel. Only those that an entry point needs to "
    "step down from root pass, and only where all others are dropped.",
    source="CIS Docker Benchmark 5.3; run on Engine 26.1.5: CHOWN, SETUID, SETGID and "
    "DAC_OVERRIDE let an image step down, on its first and second start",
    repair="Drop ALL and add only what is needed to step down.",
)
def capability_added(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        dropped = "ALL" in capabilities(service, "cap_drop")
        added = capabilities(service, "cap_add") - (STEP_DOWN if dropped else set())
        if added:
            yield RawFinding(
                service.path("cap_add"),
                f"{service.name} adds {', '.join(sorted(added))}"
                + ("" if dropped else " and drops nothing"),
            )


@rule(
    "privileged",
    "error",
    "The container is privileged.",
    why="It may do everything that root of the host may: load modules, mount disks.",
    source="CIS Docker Benchmark 5.4",
    repair="Add the one device or capability that is needed.",
)
def privileged(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        if service.get("privileged") is True:
            yield RawFinding(
                service.path("privileged"), f"{service.name} is privileged"
            )


@rule(
    "docker-socket",
    "error",
    "The engine's socket is mounted into a container.",
    why="Whoever can write to the socket is root of the host; a read-only mount does "
    "not change that.",
    source="CIS Docker Benchmark 5.31; docs.docker.com, Protect the daemon socket",
    repair="Let something outside the stack talk to the engine.",
)
def docker_socket(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        for mount in service.volumes("bind"):
            if str(mount.get("source", "")).endswith(SOCKETS):
                yield RawFinding(
                    service.path("volumes", str(mount["source"])),
                    f"{service.name} gets the engine's socket",
                )


@rule(
    "host-namespace",
    "warning",
    "The container shares a namespace with the host.",
    why="Networks, port bindings and limits of the files then mean nothing for it, and "
    "it sees the host's processes or interfaces.",
    source="CIS Docker Benchmark 5.9, 5.15, 5.16, 5.20",
    repair="Publish ports instead, and keep namespaces apart.",
)
def host_namespace(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        for key in ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup"):
            if service.get(key) == "host":
                yield RawFinding(
                    service.path(key), f"{service.name} uses the host's {key}"
                )
