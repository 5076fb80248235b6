"""The merged compose model, as `docker compose config --format json` prints it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from compose_ops.errors import UsageError
from compose_ops.units import seconds, whole

DEFAULT_INTERVAL = 30.0
DEFAULT_TIMEOUT = 30.0
DEFAULT_RETRIES = 3


@dataclass(frozen=True, slots=True)
class Port:
    """
    A port that the model asks for.

    `published` is 0 where the engine chooses it, of all or of a range.
    """

    service: str
    host: str
    published: int
    target: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Model:
    """Reads the merged model; it never changes it."""

    raw: Mapping[str, Any]

    @property
    def project(self) -> str:
        return str(self.raw["name"])

    @property
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.raw.get("services") or {}
        return found

    @property
    def networks(self) -> Mapping[str, Mapping[str, Any]]:
        return self.raw.get("networks") or {}

    def external(self, kind: str) -> tuple[str, ...]:
        """
        Return the keys of what the project uses and does not make.

        *kind* is networks, volumes, secrets or configs.
        """
        stated = (self.raw.get(kind) or {}).items()
        return tuple(key for key, one in stated if (one or {}).get("external"))

    @property
    def volumes(self) -> Mapping[str, Mapping[str, Any]]:
        return self.raw.get("volumes") or {}

    def service(self, name: str) -> Mapping[str, Any]:
        """Return one service; UsageError when the model has none of that name."""
        if name not in self.services:
            raise UsageError(
                f"no service named {name!r}", hint=f"one of: {', '.join(self.services)}"
            )
        return self.services[name]

    def check_services(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return *names* once each; UsageError for one that does not exist."""
        found = tuple(dict.fromkeys(names))
        for name in found:
            self.service(name)
        return found

    def replicas(self, name: str) -> int:
        service = self.service(name)
        deploy = service.get("deploy") or {}
        return int(service.get("scale", deploy.get("replicas", 1)))

    def memory(self, name: str, kind: str) -> int:
        """
        Return the bytes in a service's `limits` or `reservations`, 0 for none.

        `mem_limit` and `mem_reservation` are the same in other words.
        """
        service = self.service(name)
        stated = ((service.get("deploy") or {}).get("resources") or {}).get(kind) or {}
        other = "mem_limit" if kind == "limits" else "mem_reservation"
        return int(stated.get("memory") or service.get(other) or 0)

    def cpus(self, name: str, kind: str) -> float:
        """
        Return the cores in a service's `limits` or `reservations`, 0 for none.

        `cpus` of the service is a limit in other words.
        """
        service = self.service(name)
        stated = ((service.get("deploy") or {}).get("resources") or {}).get(kind) or {}
        other = service.get("cpus") if kind == "limits" else 0
        return float(stated.get("cpus") or other or 0)

    def mounts(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """Return the `volumes` of a service, and those that `volumes_from` gives it."""
        found: list[Mapping[str, Any]] = []
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            service = self.services.get(one := waiting.pop(0)) or {}
            if one not in seen:
                seen.add(one)
                found += service.get("volumes") or ()
                # Compose 2.26 forgets the `:ro` that may stand behind a name.
                waiting += self._mounted_from(service)
        return tuple(found)

    @property
    def gpu_services(self) -> frozenset[str]:
        """The services that ask for a GPU: reserved, by `gpus`, or by the runtime."""
        found = set()
        for name, service in self.services.items():
            resources = (service.get("deploy") or {}).get("resources") or {}
            devices = (resources.get("reservations") or {}).get("devices") or ()
            if (
                service.get("gpus")
                or service.get("runtime") == "nvidia"
                or any("gpu" in (one.get("capabilities") or ()) for one in devices)
            ):
                found.add(name)
        return frozenset(found)

    def image_name(self, name: str) -> str:
        """Return the image that a service runs on; Compose names what it builds."""
        return str(self.service(name).get("image") or f"{self.project}-{name}")

    def needs(self, name: str) -> dict[str, Mapping[str, Any]]:
        """
        Return the `depends_on` of a service that this model has, by service.

        A dependency with `required: false` may be of an inactive profile: then it is
        not there, and nobody waits for it.
        """
        found = self.service(name).get("depends_on") or {}
        stated = found if isinstance(found, dict) else {one: {} for one in found}
        return {
            other: rule or {}
            for other, rule in stated.items()
            if other in self.services or (rule or {}).get("required", True)
        }

    @property
    def jobs(self) -> frozenset[str]:
        """The services that others wait for with `service_completed_successfully`."""
        return frozenset(
            other
            for name in self.services
            for other, rule in self.needs(name).items()
            if rule.get("condition") == "service_completed_successfully"
        )

    @property
    def namespace_owners(self) -> frozenset[str]:
        """The services in whose network, pid or ipc namespace others live."""
        return frozenset(
            str(stated).removeprefix("service:")
            for service in self.services.values()
            for stated in map(service.get, ("network_mode", "pid", "ipc"))
            if str(stated).startswith("service:")
        )

    def followers(self, name: str) -> tuple[str, ...]:
        """
        Return the services that must start again when *name* does, in turn.

        They live in one of its namespaces (`network_mode: service:NAME`, and likewise
        pid and ipc), mount its volumes, or state `depends_on` with `restart: true`.
        """
        found: dict[str, None] = {}
        waiting = [name]
        while waiting:
            one = waiting.pop(0)
            for other in self.services:
                if other not in found and other != name and self._follows(other, one):
                    found[other] = None
                    waiting.append(other)
        return tuple(found)

    def _follows(self, other: str, name: str) -> bool:
        rule = self.needs(other).get(name) or {}
        owners = (*self.shares(other), *self._mounted_from(self.service(other)))
        return name in owners or bool(rule.get("restart"))

    def shares(self, name: str) -> tuple[str, ...]:
        """Return the services in whose network, pid or ipc namespace *name* lives."""
        service = self.service(name)
        stated = (str(service.get(key) or "") for key in ("network_mode", "pid", "ipc"))
        return self._owners(one for one in stated if ":" in one)

    def _mounted_from(self, service: Mapping[str, Any]) -> tuple[str, ...]:
        stated = map(str, service.get("volumes_from") or ())
        return self._owners(
            one if one.startswith("container:") else f"service:{one}" for one in stated
        )

    def _owners(self, references: Iterable[str]) -> tuple[str, ...]:
        """
        Return the services behind `service:NAME` and `container:NAME`.

        The latter is the `container_name` of a service, or nothing of this project.
        """
        fixed = {str(s.get("container_name")): n for n, s in self.services.items()}
        parts = [reference.split(":") for reference in references]
        found = (
            fixed.get(n, "") if kind == "container" else n for kind, n, *_ in parts
        )
        return tuple(name for name in found if name in self.services)

    def dependencies(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return *names* and all that they depend on, each once."""
        found: dict[str, None] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop(0)
            if name not in found:
                found[name] = None
                waiting += self.needs(name)
        return tuple(found)

    def dependents(self, name: str) -> tuple[str, ...]:
        """Return the services that depend on *name*, directly or through others."""
        return tuple(
            other
            for other in self.services
            if other != name and name in self.dependencies([other])
        )

    def ports(self, names: Iterable[str] = ()) -> Iterator[Port]:
        """Yield each port that the services publish on the host (all when empty)."""
        for name in tuple(names) or self.services:
            for port in self.service(name).get("ports") or ():
                yield Port(
                    service=name,
                    host=port.get("host_ip", ""),
                    published=_number(str(port.get("published") or 0)),
                    target=int(port["target"]),
                    protocol=port.get("protocol", "tcp"),
                )

    def volume_name(self, key: str) -> str:
        """Return the engine's name of a volume of the model."""
        volume = self.volumes.get(key) or {}
        return str(volume.get("name", f"{self.project}_{key}"))

    def network_name(self, key: str) -> str:
        """Return the engine's name of a network of the model."""
        network = self.networks.get(key) or {}
        return str(network.get("name", f"{self.project}_{key}"))

    def seconds_to_verdict(self, name: str) -> float:
        """Return within how many seconds the health check must have judged."""
        check = self.service(name).get("healthcheck") or {}
        interval = seconds(check.get("interval"), DEFAULT_INTERVAL)
        timeout = seconds(check.get("timeout"), DEFAULT_TIMEOUT)
        retries = int(check.get("retries", DEFAULT_RETRIES))
        return (
            seconds(check.get("start_period"))
            + retries * (interval + timeout)
            + interval
        )

    def patience(self, names: Iterable[str] = ()) -> float:
        """Return within how many seconds *names* and what they need must be healthy."""
        wanted = self.dependencies(tuple(names) or self.services)
        depth = {name: self._depth(name) for name in wanted}
        levels = {
            d: max(self.seconds_to_verdict(n) for n in wanted if depth[n] == d)
            for d in set(depth.values())
        }
        return sum(levels.values())

    def _depth(self, name: str) -> int:
        return 1 + max((self._depth(need) for need in self.needs(name)), default=-1)


def _number(published: str) -> int:
    return whole(published) or 0
