"""Requests about a Swarm by the docker client."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from compose_ops.docker import failure, process
from compose_ops.docker.api import BUILD_TIMEOUT, CHANGE_TIMEOUT, QUICK_TIMEOUT
from compose_ops.docker.cluster import STACK_LABEL, Node, Service, Task
from compose_ops.docker.engine import EngineRequests
from compose_ops.docker.parse import timestamp
from compose_ops.errors import EngineError

NANO = 10**9


class ClusterRequests(EngineRequests):
    def nodes(self) -> tuple[Node, ...]:
        ids = self.checked("node", "ls", "--quiet", timeout=self.timeout).stdout.split()
        return tuple(map(_node, self.inspect("node", ids)))

    def stack_services(self, stack: str) -> tuple[Service, ...]:
        return tuple(map(_service, self.listed("service", [_of(stack)])))

    def tasks(self, services: Iterable[str]) -> tuple[Task, ...]:
        names = list(services)
        if not names:
            return ()
        words = ("service", "ps", "--quiet", "--no-trunc", *names)
        ids = self.checked(*words, timeout=self.timeout).stdout.split()
        return tuple(map(_task, self._tasks(ids)))

    def _tasks(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Inspect tasks; `docker task` is no command."""
        if not ids:
            return []
        words = ("inspect", "--type", "task", *ids)
        output = self.docker(*words, timeout=self.timeout)
        if output.code != 0 and not failure.says_absent(output.stderr):
            failure.check(output, self.command("inspect"))
        found: list[dict[str, Any]] = json.loads(output.stdout or "[]")
        return found

    def deploy_stack(self, stack: str, content: Mapping[str, Any]) -> None:
        flags = ("--prune", "--with-registry-auth")
        argv = self.command("stack", "deploy", *flags, "--compose-file", "-", stack)
        text = json.dumps(content).encode()
        output = process.run(argv, echo=self.echo, timeout=CHANGE_TIMEOUT, stdin=text)
        failure.check(output, argv)

    def remove_stack(self, stack: str) -> None:
        self.checked("stack", "rm", stack, timeout=CHANGE_TIMEOUT)

    def stack_networks(self, stack: str) -> tuple[str, ...]:
        words = ("network", "ls", "--quiet", "--filter", _of(stack))
        return tuple(self.checked(*words, timeout=self.timeout).stdout.split())

    def stack_objects(self, kind: str, stack: str) -> tuple[str, ...]:
        words = (kind, "ls", "--format", "{{.Name}}", "--filter", _of(stack))
        return tuple(self.checked(*words, timeout=self.timeout).stdout.split())

    def remove_object(self, kind: str, name: str) -> bool:
        return self.docker(kind, "rm", name, timeout=QUICK_TIMEOUT).code == 0

    def push(self, reference: str) -> str:
        self.checked("image", "push", "--quiet", reference, timeout=BUILD_TIMEOUT)
        repository = reference.rpartition(":")[0]
        image = self.image(reference)
        for digest in image.digests if image else ():
            if digest.partition("@")[0] == repository:
                return digest
        raise EngineError(
            f"{reference} was pushed, and the engine knows no digest of it",
            hint="docker image inspect shows its RepoDigests; a registry gives one",
        )

    def follow_service_logs(
        self,
        services: Sequence[str],
        *,
        tail: int | None,
        follow: bool,
        write: Callable[[str], object],
        write_error: Callable[[str], object],
    ) -> int:
        limit = [] if tail is None else ["--tail", str(tail)]
        more = [*limit, *(["--follow"] if follow else [])]

        def one(name: str) -> int:
            argv = self.command("service", "logs", *more, name)
            process.shown(argv, None, self.echo)
            return process.redacted(argv, None, write=write, write_error=write_error)

        together = max(len(services), 1) if follow else 1
        with ThreadPoolExecutor(together) as pool:
            try:
                return max(pool.map(one, services), default=0)
            except BaseException:
                process.terminate_all()  # the pool waits for its clients
                raise


def _of(stack: str) -> str:
    return f"label={STACK_LABEL}={stack}"


def _node(data: Mapping[str, Any]) -> Node:
    spec, described = data["Spec"], data["Description"]
    manager = data.get("ManagerStatus") or {}
    has = described.get("Resources") or {}
    return Node(
        id=data["ID"],
        hostname=described["Hostname"],
        role=spec["Role"],
        state=data["Status"]["State"],
        availability=spec["Availability"],
        address=data["Status"].get("Addr", ""),
        reachability=manager.get("Reachability", ""),
        is_leader=bool(manager.get("Leader")),
        labels=spec.get("Labels") or {},
        version=(described.get("Engine") or {}).get("EngineVersion", ""),
        cpus=has.get("NanoCPUs", 0) / NANO,
        memory=has.get("MemoryBytes", 0),
        resources=tuple(map(_resource, has.get("GenericResources") or ())),
    )


def _resource(data: Mapping[str, Any]) -> str:
    [spec] = data.values()
    return f"{spec['Kind']}={spec['Value']}"


def _service(data: Mapping[str, Any]) -> Service:
    spec = data["Spec"]
    update = data.get("UpdateStatus") or {}
    replicated = spec["Mode"].get("Replicated")
    specs = [spec, data.get("PreviousSpec") or {}]
    return Service(
        id=data["ID"],
        name=spec["Name"],
        image=spec["TaskTemplate"]["ContainerSpec"]["Image"],
        labels=spec.get("Labels") or {},
        replicas=None if replicated is None else replicated.get("Replicas", 1),
        created=timestamp(data["CreatedAt"]),
        update=update.get("State", ""),
        message=update.get("Message", ""),
        update_started=timestamp(update.get("StartedAt", "")),
        objects=frozenset(name for one in specs for name in _objects(one)),
    )


def _objects(spec: Mapping[str, Any]) -> Iterable[str]:
    """Yield the names of secrets and configs that a specification uses."""
    container = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
    yield from (one["SecretName"] for one in container.get("Secrets") or ())
    yield from (one["ConfigName"] for one in container.get("Configs") or ())


def _task(data: Mapping[str, Any]) -> Task:
    status = data["Status"]
    container = status.get("ContainerStatus") or {}
    return Task(
        id=data["ID"],
        service=data["ServiceID"],
        node=data.get("NodeID", ""),
        slot=data.get("Slot", 0),
        state=status["State"],
        wanted=data["DesiredState"],
        error=status.get("Err", ""),
        image=data["Spec"]["ContainerSpec"]["Image"],
        since=timestamp(status["Timestamp"]),
        container=container.get("ContainerID", ""),
        exit_code=container.get("ExitCode"),
    )
