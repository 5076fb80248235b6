"""What a service's data is and how it is quiesced: its labels in the compose files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.project.model import Model

DATA = "compose-ops.data."
BACKUP = "compose-ops.backup."
RESTORE = "compose-ops.restore."
LEVELS = ("native", "stop", "crash")


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How to keep one stateful service. Commands run in its container by its `shell`.

    `volumes` are keys of the model; `levels` are the consistencies that it supports,
    best first; `order` are patterns of the paths to copy, in that order.
    """

    service: str
    volumes: tuple[str, ...]
    levels: tuple[str, ...] = ("stop", "crash")
    clean_exits: frozenset[int] = frozenset({0})
    shell: str = "sh"
    probe: str = ""
    prepare: str = ""
    release: str = ""
    order: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    count: str = ""
    grows: bool = False
    version: str = ""
    mend: str = ""


def policies(model: Model) -> dict[str, Policy]:
    """Return the policy of each service that declares data; ConfigurationError."""
    return {
        name: policy(model, name)
        for name in model.services
        if labels(model, name).get(DATA + "volumes")
    }


def labels(model: Model, service: str) -> dict[str, str]:
    """Return a service's labels as its container gets them: `$$` means one dollar."""
    found = model.service(service).get("labels") or {}
    return {key: str(value).replace("$$", "$") for key, value in found.items()}


def policy(model: Model, service: str) -> Policy:
    """Read one service's labels; ConfigurationError for one that makes no sense."""
    said = labels(model, service)
    levels = tuple(said.get(BACKUP + "consistency", "stop crash").split())
    volumes = tuple(said[DATA + "volumes"].split())
    _require(service, set(levels) <= set(LEVELS), f"consistency {' '.join(levels)}")
    for key in volumes:
        _require(service, key in model.volumes, f"the unknown volume {key}")
    exits = said.get(BACKUP + "clean-exits", "0").split()
    _require(service, all(e.isdigit() for e in exits), f"exit codes {' '.join(exits)}")
    rule = said.get(BACKUP + "count-rule", "equal")
    _require(service, rule in {"equal", "at-least"}, f"the count rule {rule}")
    return Policy(
        service=service,
        volumes=volumes,
        levels=levels,
        clean_exits=frozenset(map(int, exits)),
        shell=said.get(BACKUP + "shell", "sh"),
        probe=_command(said, "native.probe"),
        prepare=_command(said, "native.prepare"),
        release=_command(said, "native.release"),
        order=tuple(said.get(BACKUP + "native.order", "").split()),
        exclude=tuple(said.get(BACKUP + "native.exclude", "").split()),
        count=_command(said, "count"),
        grows=rule == "at-least",
        version=said.get(BACKUP + "version", ""),
        mend=said.get(RESTORE + "mend", ""),
    )


def _command(said: Mapping[str, str], name: str) -> str:
    """Return a command, behind the lines that all of the service's share."""
    command = said.get(BACKUP + name, "")
    preamble = said.get(BACKUP + "preamble", "")
    return f"{preamble}\n{command}" if command and preamble else command


def choose(
    model: Model, services: Iterable[str], *, everything: bool
) -> tuple[Policy, ...]:
    """Return the policies that `--service` or `--all` name; UsageError for none."""
    known = policies(model)
    names = model.check_services(services)
    if everything == bool(names):
        raise UsageError(
            "name what is meant: --service NAME (repeatable), or --all",
            hint=f"services with data: {', '.join(known)}",
        )
    for name in names:
        if name not in known:
            raise UsageError(
                f"{name} declares no data",
                hint=f"services with data: {', '.join(known)}; docs/backup.md says how "
                "labels declare it",
            )
    return tuple(known[name] for name in names or known)


def disposable(model: Model) -> frozenset[str]:
    """Return the volumes that services declare not to be data."""
    return frozenset(
        key
        for name in model.services
        for key in labels(model, name).get(DATA + "disposable", "").split()
    )


def _require(service: str, holds: bool, what: str) -> None:  # noqa: FBT001
    if not holds:
        raise ConfigurationError(
            f"the labels of {service} name {what}",
            hint=f"mend {DATA}* and {BACKUP}* in the compose files; docs/backup.md",
        )
