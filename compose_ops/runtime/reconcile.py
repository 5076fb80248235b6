"""From what the engine has to what the model wants: what differs must go first."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

from compose_ops.docker.api import Container, Engine, Network, Volume
from compose_ops.errors import ConfigurationError
from compose_ops.project.model import Model
from compose_ops.state.executor import Step
from compose_ops.state.executor import execute as carry_out

VOLUME_LABEL = "com.docker.compose.volume"


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """
    What must change before Compose can make the model true.

    Compose keeps a network or a volume whose definition changed, without a word.
    `networks` are removed, so that Compose creates them again; `containers` are
    attached to them and are recreated, which keeps their anonymous volumes; `orphans`
    are removed.
    """

    networks: tuple[Network, ...] = ()
    containers: tuple[Container, ...] = ()
    orphans: tuple[Container, ...] = ()

    @property
    def services(self) -> tuple[str, ...]:
        """The services whose containers are recreated."""
        return tuple(dict.fromkeys(c.service for c in self.containers))

    def steps(self) -> list[str]:
        """Return the plan in words, one line a step."""
        return [
            *(f"remove container {c.name}: no service has it" for c in self.orphans),
            *(f"recreate container {c.name}" for c in self.containers),
            *(
                f"recreate network {n.name}: its definition changed"
                for n in self.networks
            ),
        ]


def plan(
    model: Model,
    everyone: Iterable[Container],
    networks: Iterable[Network],
    volumes: Iterable[Volume],
    *,
    profiled: Callable[[], Collection[str]] = frozenset,
) -> Reconciliation:
    """
    Compare the engine with the model.

    *everyone* are the containers of the engine, whoever made them. *profiled* returns
    the services of all profiles: one of an inactive profile is not in the model, and
    its container stays all the same.

    Raises ConfigurationError for a volume whose definition differs: its data would
    have to move, and only a restore does that; and for a network that has to be
    recreated while somebody else's container is attached to it.
    """
    check_volumes(model, volumes)
    there = tuple(everyone)
    own = [c for c in there if c.project == model.project and not c.is_one_off]
    gone = orphans(model, own, profiled)
    changed = tuple(n for n in networks if _differs(model, n))
    names = {network.name for network in changed}
    attached = [c for c in there if names & set(c.networks)]
    _refuse_others([c for c in attached if c not in own], names)
    return Reconciliation(
        networks=changed,
        containers=tuple(c for c in attached if c not in gone),
        orphans=gone,
    )


def _refuse_others(others: Sequence[Container], networks: set[str]) -> None:
    for other in others:
        (network, *_) = sorted(networks & set(other.networks))
        raise ConfigurationError(
            f"the network {network} must be recreated, and {other.name} is attached "
            "to it",
            hint=f"docker network disconnect {network} {other.name}, then run this "
            "again",
        )


def orphans(
    model: Model,
    containers: Iterable[Container],
    profiled: Callable[[], Collection[str]],
) -> tuple[Container, ...]:
    """Return the containers of services that the compose files have in no profile."""
    unknown = tuple(c for c in containers if c.service not in model.services)
    known = profiled() if unknown else ()
    return tuple(c for c in unknown if c.service not in known)


def execute(change: Reconciliation, engine: Engine) -> None:
    """
    Make way for what Compose creates next; volumes stay.

    A failure starts again what was stopped, on the networks where it was.
    """
    networks = {n.name: n for n in change.networks}
    steps = []
    if affected := (*change.orphans, *change.containers):
        ids = [c.id for c in affected]
        start = partial(_start_again, engine, affected)
        steps.append(Step("stop containers", partial(engine.stop, *ids), start))
    for container in affected:
        for name in sorted(networks.keys() & set(container.networks)):
            there = (networks[name].id, container.id)
            back = partial(_attach_again, engine, name, container)
            leave = partial(engine.disconnect, *there)
            steps.append(Step(f"detach {container.name} from {name}", leave, back))
    steps += [
        Step(f"remove network {n.name}", partial(engine.remove_network, n.id))
        for n in change.networks
    ]
    if change.orphans:
        remove = partial(engine.remove, *(c.id for c in change.orphans), force=True)
        steps.append(Step("remove containers", remove))
    carry_out(steps)


def _attach_again(engine: Engine, network: str, container: Container) -> None:
    """Attach a container as it was, where the network is still there."""
    there = {n.name for n in engine.networks()}
    now = next((c for c in engine.containers() if c.id == container.id), None)
    if now is not None and network in there and network not in now.networks:
        engine.connect(network, container.id, aliases=_aliases(container, network))


def _aliases(container: Container, network: str) -> tuple[str, ...]:
    settings = (container.raw.get("NetworkSettings") or {}).get("Networks") or {}
    return tuple((settings.get(network) or {}).get("Aliases") or (container.service,))


def _start_again(engine: Engine, containers: Iterable[Container]) -> None:
    """Start what ran before, as far as it is still there."""
    there = {c.id for c in engine.containers()}
    if ran := [c.id for c in containers if c.is_running and c.id in there]:
        engine.start(*ran)


def check_volumes(model: Model, volumes: Iterable[Volume]) -> None:
    """Raise ConfigurationError when volumes are not where the model wants them."""
    wanted = _definitions(model)
    moved = moved_volumes(model, volumes)
    if not moved:
        return
    places = [
        f"the volume {v.name} is {_place(v.options)}, this mode wants "
        f"{_place(wanted[v.name].get('driver_opts') or {})}"
        for v in moved
    ]
    keys = [v.labels.get(VOLUME_LABEL, v.name).removesuffix("_data") for v in moved]
    raise ConfigurationError(
        places[0],
        hint="invoke backup "
        + " ".join(f"--service {key}" for key in keys)
        + f", then invoke down, then docker volume rm {' '.join(v.name for v in moved)}"
        + ", start this mode, and invoke restore with the same services",
        detail="\n".join(places[1:]),
    )


def moved_volumes(model: Model, volumes: Iterable[Volume]) -> list[Volume]:
    """Return the volumes that are not where the model wants them."""
    wanted = _definitions(model)
    return [v for v in volumes if v.name in wanted and _moves(v, wanted[v.name])]


def _definitions(model: Model) -> dict[str, Mapping[str, Any]]:
    return {model.volume_name(key): value or {} for key, value in model.volumes.items()}


def _moves(volume: Volume, definition: Mapping[str, Any]) -> bool:
    options = {k: str(v) for k, v in (definition.get("driver_opts") or {}).items()}
    driver = definition.get("driver", "local")
    return dict(volume.options) != options or volume.driver != driver


def _place(options: Mapping[str, str]) -> str:
    return options.get("device", "a volume of the engine's own")


def _differs(model: Model, network: Network) -> bool:
    key = network.labels.get("com.docker.compose.network", "")
    wanted = model.networks.get(key)
    if wanted is None:
        return False
    return bool(_differences(wanted, network))


def _differences(wanted: Mapping[str, Any], network: Network) -> list[str]:
    """
    Return which properties of a network are not as the files state them.

    What they leave open (a driver, addresses, a gateway) may be anything: the engine
    chose it. Labels do nothing to what is attached.
    """
    raw = network.raw
    options = {k: str(v) for k, v in (wanted.get("driver_opts") or {}).items()}
    pairs: list[tuple[str, object, object]] = [
        ("internal", bool(wanted.get("internal")), network.internal),
        ("driver_opts", options, dict(raw.get("Options") or {})),
        ("attachable", bool(wanted.get("attachable")), bool(raw.get("Attachable"))),
        ("enable_ipv6", bool(wanted.get("enable_ipv6")), bool(raw.get("EnableIPv6"))),
    ]
    if wanted.get("driver"):
        pairs.append(("driver", wanted["driver"], raw.get("Driver")))
    configs = (wanted.get("ipam") or {}).get("config") or ()
    if any(config.get("subnet") for config in configs):
        there = (raw.get("IPAM") or {}).get("Config") or ()
        blocks = [_address_block(config, config) for config in configs]
        found = [
            _address_block({own: block.get(key) for own, key in _KEYS.items()}, config)
            for block, config in zip_longest(there, configs, fillvalue=_NOTHING)
        ]
        pairs.append(("ipam", blocks, found))
    return [name for name, stated, observed in pairs if stated != observed]


_NOTHING: dict[str, Any] = {}
_KEYS = {
    "subnet": "Subnet",
    "aux_addresses": "AuxiliaryAddresses",
    "gateway": "Gateway",
    "ip_range": "IPRange",
}


def _address_block(
    block: Mapping[str, Any], stated: Mapping[str, Any]
) -> tuple[object, ...]:
    open_ = [block.get(key) if stated.get(key) else None for key in _CHOSEN]
    return block.get("subnet"), dict(block.get("aux_addresses") or {}), *open_


_CHOSEN = ("gateway", "ip_range")
"""What the engine chooses where the files state nothing."""
