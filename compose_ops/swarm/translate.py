"""
From the merged compose model to a file that `docker stack deploy` takes.

A pure function: what files hold and which images are pushed is handed in. The table in
elements.toml says of each element whether it is kept, dropped or refused; what is said
in other words has a function here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from compose_ops.docker.api import PROJECT_LABEL
from compose_ops.errors import ConfigurationError
from compose_ops.project.model import Model
from compose_ops.swarm import mounts, objects
from compose_ops.swarm.elements import KEPT, TRANSLATED, load
from compose_ops.swarm.stackfile import Source, StackFile
from compose_ops.swarm.work import Work
from compose_ops.units import whole

RESTART = {"no": "none", "on-failure": "on-failure"}
GPU_KIND = "NVIDIA-GPU"
EVERYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - what a user may have asked for
DROP_FROM_NETWORKS = "com.docker.network.bridge."

Translation = Callable[[Work, str, Any], None]


def translate(
    model: Model,
    *,
    images: Mapping[str, str],
    sources: Mapping[str, Source],
    labels: Mapping[str, str] | None = None,
) -> StackFile:
    """
    Return the stack file of a merged model, and what it leaves out.

    *images* are the references to deploy, by service; without one a service keeps the
    name in the compose files. *sources* are what the files and folders on this machine
    hold, by path (`files.collect`); *labels* are added to each service's own. Raises
    one ConfigurationError that lists everything which Swarm has no equivalent for.

    >>> translate(model, images={}, sources={}).losses[0].key
    'depends_on'
    """
    made = Translator(model, sources, images, labels or {})
    content = made.run()
    if made.refusals:
        raise ConfigurationError(
            f"{len(made.refusals)} setting{'s' * (len(made.refusals) > 1)} cannot go "
            "to Swarm as they are",
            detail="\n".join(map(str, made.refusals)),
            hint="change them in an overlay of the mode for Swarm: docs/swarm.md",
        )
    return StackFile(content, tuple(made.losses))


class Translator(Work):
    """The walk through a model, element by element."""

    def run(self) -> dict[str, Any]:
        """Return the stack file."""
        raw = self.model.raw
        content: dict[str, Any] = {"services": {}}
        for name, stated in self.model.services.items():
            content["services"][name] = self._service(name, stated)
        self.service = ""
        for kind in ("networks", "volumes"):
            content[kind] = {
                name: self._object(kind, name, stated or {})
                for name, stated in (raw.get(kind) or {}).items()
            }
        for kind in ("secrets", "configs"):
            stated = raw.get(kind) or {}
            own = {n: self._object(kind, n, v or {}) for n, v in stated.items()}
            content[kind] = {**own, **self.made[kind]}
        for key, value in raw.items():
            if key not in content and not key.startswith("x-"):
                self.judge(key, key, value)
        return {key: value for key, value in content.items() if value}

    def judge(self, path: str, key: str, value: Any) -> Any:
        """
        Return what is kept of *value*, None for nothing; note what is not.

        What is not set, or set to nothing, is neither lost nor refused.
        """
        row = load().row(path)
        if value is None:
            return None
        if row.outcome == KEPT:
            return self._kept(path, key, value)
        if row.outcome == TRANSLATED:
            TRANSLATIONS[path](self, key, value)
        elif value not in (False, "", 0, [], {}):
            self.note(row.outcome, key, row.reason)
        return None

    def _kept(self, path: str, key: str, value: Any) -> Any:
        """Return a value that is kept, without what rows beneath it say otherwise."""
        if path not in load().parents:
            return value
        if isinstance(value, list):
            return [self._kept(path, key, item) for item in value]
        if not isinstance(value, Mapping):
            return value
        found: dict[str, Any] = {}
        for name, inner in value.items():
            if inner is None and path.endswith("networks"):
                found[name] = None
                continue
            below = load().below(path, name)
            walk = self._kept if below.endswith(".*") else self.judge
            kept = walk(below, f"{key}.{name}", inner)
            if kept is not None:
                found[name] = kept
        return found

    def _service(self, name: str, stated: Mapping[str, Any]) -> dict[str, Any]:
        self.service, self.out = name, {}
        for key, value in stated.items():
            if key.startswith("x-"):
                continue
            kept = self.judge(f"services.*.{key}", key, value)
            if kept is not None:
                _merge(self.out, {key: kept})
        self.out["image"] = self.images.get(name) or self.model.image_name(name)
        deploy = self.out.setdefault("deploy", {})
        deploy["labels"] = {
            **(deploy.get("labels") or {}),
            **self.labels,
            PROJECT_LABEL: self.model.project,
        }
        self._check_pin(name, deploy)
        return self.out

    def _check_pin(self, name: str, deploy: Mapping[str, Any]) -> None:
        """Refuse data that would be on whichever node a task comes to."""
        kept = mounts.data_volumes(self.model, name)
        pins = (deploy.get("placement") or {}).get("constraints") or ()
        if kept and not any("==" in pin for pin in pins):
            self.refuse(
                "deploy.placement.constraints",
                f"its data ({', '.join(kept)}) is on one node, and nothing says on "
                f"which: pin it, or name it in the label {mounts.DISPOSABLE}",
            )

    def _object(self, kind: str, name: str, stated: Mapping[str, Any]) -> Any:
        """Return a network, volume, secret or config of the top level."""
        self.name, self.out = name, {}
        for key, value in stated.items():
            if key.startswith("x-"):
                continue
            kept = self.judge(f"{kind}.*.{key}", f"{kind}.{name}.{key}", value)
            if kept is not None:
                self.out.setdefault(key, kept)
        if kind == "networks" and not stated.get("external"):
            self.out["driver"] = "overlay"
            _drop_empty(self.out, "driver_opts", "ipam")
        if self.out.get("external"):
            return {k: v for k, v in self.out.items() if k in {"external", "name"}}
        return self.out


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Merge mappings deeply; what is stated in *more* has precedence."""
    for key, value in more.items():
        there = into.get(key)
        if isinstance(there, dict) and isinstance(value, Mapping):
            _merge(there, value)
        elif isinstance(there, list) and isinstance(value, list):
            into[key] = [*there, *value]
        else:
            into[key] = value


def _drop_empty(mapping: dict[str, Any], *keys: str) -> None:
    for key in keys:
        if not mapping.get(key):
            mapping.pop(key, None)


def _elsewhere(_work: Work, _key: str, _value: Any) -> None:
    """Leave it: the name is an argument of the deploy, each service gets an image."""


def _restart(work: Work, key: str, value: str) -> None:
    name, _, attempts = value.partition(":")
    policy: dict[str, Any] = {"condition": RESTART.get(name, "any")}
    if (number := whole(attempts)) is not None:
        policy["max_attempts"] = number
    _state(work, ("deploy", "restart_policy"), policy)
    if name == "unless-stopped":
        work.lose(key, "Swarm starts again what was stopped: scale it to 0 instead")


def _state(work: Work, path: Sequence[str], value: Any) -> None:
    """Set what the service itself does not state at that path."""
    stated: Any = work.model.service(work.service)
    for key in path:
        stated = (stated or {}).get(key)
    if stated is None:
        made: dict[str, Any] = {path[-1]: value}
        for key in reversed(path[:-1]):
            made = {key: made}
        _merge(work.out, made)


def _limit(*path: str, text: bool = False) -> Translation:
    def translation(work: Work, _key: str, value: Any) -> None:
        _state(work, ("deploy", *path), str(value) if text else value)

    return translation


def _text_of_cpus(kind: str) -> Translation:
    def translation(work: Work, _key: str, value: Any) -> None:
        work.resources(kind)["cpus"] = str(value)

    return translation


def _pids(work: Work, key: str, value: int) -> None:
    if value > 0:
        _limit("resources", "limits", "pids")(work, key, value)


def _security_opt(work: Work, key: str, options: Sequence[str]) -> None:
    for option in options:
        name, _, value = option.replace("=", ":").partition(":")
        if name != "no-new-privileges":
            work.refuse(key, f"{option} is not of Swarm: set it in the nodes' daemons")
        elif value != "false":
            work.lose(key, 'set "no-new-privileges": true in each node\'s daemon.json')


def _devices(work: Work, key: str, requests: Sequence[Mapping[str, Any]]) -> None:
    for request in requests:
        if "gpu" not in (request.get("capabilities") or ()):
            work.refuse(key, "Swarm hands over no devices but GPUs")
            continue
        count = len(request.get("device_ids") or ()) or request.get("count", 1)
        if (number := whole(str(count))) is None:
            work.refuse(key, f"count: {count} is no number, and Swarm counts resources")
            continue
        spec = {"discrete_resource_spec": {"kind": GPU_KIND, "value": number}}
        work.resources("reservations").setdefault("generic_resources", []).append(spec)


def _ports(work: Work, key: str, ports: Sequence[Mapping[str, Any]]) -> None:
    work.out["ports"] = [made for port in ports for made in _port(work, key, port)]
    _drop_empty(work.out, "ports")


def _port(work: Work, key: str, port: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    host, published = port.get("host_ip") or "", str(port.get("published") or "")
    named = f"{key}.{published or port['target']}"
    deploy = work.model.service(work.service).get("deploy") or {}
    mode = port.get("mode") or "ingress"
    for name in ("app_protocol", "name"):
        if port.get(name):
            work.lose(f"{named}.{name}", load().row(f"services.*.ports.{name}").reason)
    if host.startswith("127.") or host == "::1":
        work.refuse(named, f"Swarm would open {host} to every address of the node")
    elif host not in EVERYWHERE:
        reason = load().row("services.*.ports.host_ip").reason
        work.lose(f"{named}.host_ip", reason)
    if mode != "host" and deploy.get("endpoint_mode") == "dnsrr":
        work.refuse(named, "endpoint_mode: dnsrr goes with ports of mode: host only")
    if published and whole(published) is None:
        work.refuse(named, "a port is one number on Swarm")
        return
    made = {"target": int(port["target"]), "protocol": port.get("protocol", "tcp")}
    yield {
        "mode": mode,
        **made,
        **({"published": int(published)} if published else {}),
    }


def _driver(work: Work, key: str, value: str) -> None:
    if value not in {"overlay", "bridge", "default"}:
        work.refuse(key, f"{value} is no driver of Swarm's: use overlay")


def _driver_opts(work: Work, key: str, options: Mapping[str, Any]) -> None:
    kept = {}
    for name, value in options.items():
        if not name.startswith(DROP_FROM_NETWORKS):
            kept[name] = str(value)
            continue
        reason = "an overlay has no options of a bridge"
        if name.endswith("enable_icc") and str(value).lower() == "false":
            reason += ": its containers reach each other"
        work.lose(f"{key}.{name}", reason)
    work.out["driver_opts"] = kept


TRANSLATIONS: Mapping[str, Translation] = {
    "name": _elsewhere,
    "services.*.build": _elsewhere,
    "services.*.image": _elsewhere,
    "services.*.restart": _restart,
    "services.*.scale": _limit("replicas"),
    "services.*.mem_limit": _limit("resources", "limits", "memory"),
    "services.*.mem_reservation": _limit("resources", "reservations", "memory"),
    "services.*.cpus": _limit("resources", "limits", "cpus", text=True),
    "services.*.pids_limit": _pids,
    "services.*.security_opt": _security_opt,
    "services.*.gpus": _devices,
    "services.*.deploy.resources.limits.cpus": _text_of_cpus("limits"),
    "services.*.deploy.resources.reservations.cpus": _text_of_cpus("reservations"),
    "services.*.deploy.resources.reservations.devices": _devices,
    "services.*.ports": _ports,
    "services.*.volumes": mounts.volumes,
    "services.*.tmpfs": mounts.tmpfs,
    "services.*.shm_size": mounts.shared_memory,
    "services.*.secrets": objects.mounted("secrets"),
    "services.*.configs": objects.mounted("configs"),
    "networks.*.driver": _driver,
    "networks.*.driver_opts": _driver_opts,
    "secrets.*.file": objects.file,
    "configs.*.file": objects.file,
    "configs.*.content": objects.content,
}
