"""From what the engine has to what the model wants: what differs must go first."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
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
    What must go before Compose can make the model true.

    Compose keeps a network or a volume whose definition changed, without a word.
    """

    networks: tuple[Network, ...]
    containers: tuple[Container, ...]
    leaving: tuple[Container, ...]

    def steps(self) -> list[str]:
        """Return the plan in words, one line a step."""
        removed = {c.id for c in (*self.containers, *self.leaving)}
        named = [c for c in (*self.leaving, *self.containers) if c.id in removed]
        lines = [
            f"remove container {name}" for name in dict.fromkeys(c.name for c in named)
        ]
        return lines + [
            f"recreate network {n.name}: its definition changed" for n in self.networks
        ]


def plan(
    model: Model,
    containers: Iterable[Container],
    networks: Iterable[Network],
    volumes: Iterable[Volume],
    *,
    profiled: Callable[[], Collection[str]] = frozenset,
) -> Reconciliation:
    """
    Compare the engine with the model.

    *profiled* returns the services of all profiles: one of an inactive profile is not
    in the model, and its container stays all the same.

    Raises ConfigurationError for a volume whose definition differs: its data would
    have to move, and only a restore does that.
    """
    check_volumes(model, volumes)
    there = tuple(containers)
    changed = tuple(n for n in networks if _differs(model, n))
    names = {network.name for network in changed}
    return Reconciliation(
        networks=changed,
        containers=tuple(c for c in there if names & set(c.networks)),
        leaving=orphans(model, there, profiled),
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


def execute(transition: Reconciliation, engine: Engine) -> None:
    """
    Remove what stands in the way; the volumes stay.

    Containers go last: what cannot be removed of the networks leaves them as they were.
    """
    going = {c.id: c for c in (*transition.leaving, *transition.containers)}
    networks = [
        Step(f"remove network {n.name}", partial(engine.remove_network, n.id))
        for n in transition.networks
    ]
    if not going:
        carry_out(networks)
        return
    stop = Step(
        "stop containers",
        partial(engine.stop, *going),
        partial(_start_again, engine, going.values()),
    )
    remove = Step("remove containers", partial(engine.remove, *going, force=True))
    carry_out([stop, *networks, remove])


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
    configs = (wanted.get("ipam") or {}).get("config") or ()
    # Where the files state no addresses the engine chose them: any will do.
    stated = any(config.get("subnet") for config in configs)
    return _definition(wanted, stated=stated) != _observed(network, stated=stated)


def _definition(wanted: Mapping[str, Any], *, stated: bool) -> tuple[object, ...]:
    configs = (wanted.get("ipam") or {}).get("config") or () if stated else ()
    return (
        bool(wanted.get("internal")),
        {k: str(v) for k, v in (wanted.get("driver_opts") or {}).items()},
        [_address_block(c.get("subnet"), c.get("aux_addresses")) for c in configs],
    )


def _observed(network: Network, *, stated: bool) -> tuple[object, ...]:
    configs = (network.raw.get("IPAM") or {}).get("Config") or () if stated else ()
    return (
        network.internal,
        dict(network.raw.get("Options") or {}),
        [_address_block(c.get("Subnet"), c.get("AuxiliaryAddresses")) for c in configs],
    )


def _address_block(
    subnet: str | None, aux: Mapping[str, str] | None
) -> tuple[object, ...]:
    return subnet, dict(aux or {})
