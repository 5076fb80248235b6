"""What a service's data is and how it is copied: its labels, else its product."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from compose_ops.backup.data_mounts import DataMount, mounts_of
from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.products import LABEL as PRODUCT
from compose_ops.products import Product, Products, holds_running, load
from compose_ops.project.labels import DATA_LABELS, PREFIX
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext
from compose_ops.units import whole

LEVELS = ("native", "stop", "crash")
_ELSEWHERE = ("product", "rollout.", "gateway.")


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How to keep one stateful service. Commands run in its container by its `shell`.

    `mounts` are the folders that hold its data; `levels` are the consistencies that it
    supports, best first. `order`, `after`, `exclude` and `links` are patterns of paths
    in its data folder, which lies at one of `paths` in the container, or where `ask`
    says. `product` and `recipe` say where that comes from, where no label does.
    """

    service: str
    mounts: tuple[DataMount, ...]
    product: str = ""
    recipe: str = ""
    levels: tuple[str, ...] = ("stop", "crash")
    clean_exits: frozenset[int] = frozenset({0})
    shell: str = "sh"
    user: str = ""
    probe: str = ""
    prepare: str = ""
    release: str = ""
    session: str = ""
    after: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    ask: str = ""
    count: str = ""
    grows: bool = False
    version: str = ""
    repair_command: str = ""
    check: str = ""

    @property
    def volumes(self) -> tuple[str, ...]:
        """The names of its archives in a set: keys of volumes, or made of paths."""
        return tuple(mount.key for mount in self.mounts)

    def mount(self, key: str) -> DataMount:
        """Return the folder whose archive is *key*."""
        return next(mount for mount in self.mounts if mount.key == key)


def policies_of(stack: StackContext) -> dict[str, Policy]:
    """Return the policies of a stack's services, by its own products too."""
    return policies(stack.model, load(stack.product_files))


def policies(model: Model, products: Products | None = None) -> dict[str, Policy]:
    """
    Return the policy of each service with data: declared, or of a known product.

    Raises ConfigurationError for labels that make no sense, unknown ones too.
    """
    known = products or load()
    found = (policy(model, name, known) for name in model.services)
    return {policy.service: policy for policy in found if policy is not None}


def labels(model: Model, service: str) -> dict[str, str]:
    """Return a service's labels as its container gets them: `$$` means one dollar."""
    found = model.service(service).get("labels") or {}
    return {key: str(value).replace("$$", "$") for key, value in found.items()}


def policy(model: Model, service: str, products: Products) -> Policy | None:
    """Read one service; None where it has no data that anybody knows of."""
    stated = _stated(model, service)
    product = products.of_service(model.service(service))
    given = {**(product.settings if product else {}), **stated}
    paths = _paths(model, service, given)
    mounts = mounts_of(
        model, service, declared=stated.get("data.volumes", "").split(), paths=paths
    )
    if not mounts:
        return None
    return replace(_read(service, mounts, product, given), paths=tuple(paths))


def _stated(model: Model, service: str) -> dict[str, str]:
    """Return the labels under our prefix without it; ConfigurationError for unknown."""
    found = {}
    for label, value in labels(model, service).items():
        key = label.removeprefix(PREFIX)
        if key == label or key.startswith(_ELSEWHERE):
            continue
        if key not in DATA_LABELS:
            near = get_close_matches(key, (*DATA_LABELS, "product"), n=1, cutoff=0.5)
            raise ConfigurationError(
                f"{service} has the unknown label {label}",
                hint=f"is {PREFIX}{near[0]} meant?" if near else "see docs/backup.md",
            )
        found[key] = value
    return found


def _paths(model: Model, service: str, given: Mapping[str, str]) -> list[str]:
    """Return where the data lies in the container, as far as the files tell."""
    environment = model.service(service).get("environment") or {}
    named = str(environment.get(given.get("data.variable", ""), "") or "")
    return [named] if named else given.get("data.paths", "").split()


def _read(
    service: str,
    mounts: tuple[DataMount, ...],
    product: Product | None,
    given: Mapping[str, str],
) -> Policy:
    levels = tuple(given.get("backup.consistency", "stop crash").split())
    _require(
        service,
        bool(levels) and set(levels) <= set(LEVELS),
        f"the consistency {' '.join(levels) or 'of nothing'}",
    )
    said = given.get("backup.clean-exits", "0").split()
    exits = [code for code in map(whole, said) if code is not None]
    _require(service, len(exits) == len(said), f"the exit codes {' '.join(said):.60}")
    rule = given.get("backup.count-rule", "equal")
    _require(service, rule in {"equal", "at-least"}, f"the count rule {rule}")
    _require(
        service,
        "native" not in levels or holds_running(given),
        "native without what makes a copy of the running store consistent: a session, "
        "prepare with release, or prepare with order",
    )
    return Policy(
        service=service,
        mounts=mounts,
        product=product.title if product else "",
        recipe=product.recipe if product else "",
        levels=levels,
        clean_exits=frozenset(exits),
        shell=given.get("backup.shell", "sh"),
        user=given.get("backup.user", ""),
        probe=_command(given, "backup.native.probe"),
        prepare=_command(given, "backup.native.prepare"),
        release=_command(given, "backup.native.release"),
        session=_command(given, "backup.native.session"),
        after=tuple(given.get("backup.native.after", "").split()),
        order=tuple(given.get("backup.native.order", "").split()),
        exclude=tuple(given.get("backup.native.exclude", "").split()),
        links=tuple(given.get("data.links", "").split()),
        ask=_command(given, "data.ask"),
        count=_command(given, "backup.count"),
        grows=rule == "at-least",
        version=given.get("backup.version", ""),
        repair_command=given.get("restore.mend", ""),
        check=_command(given, "drill.check"),
    )


def _command(given: Mapping[str, str], name: str) -> str:
    """Return a command, behind the lines that all of the service's share."""
    command = given.get(name, "")
    preamble = given.get("backup.preamble", "")
    return f"{preamble}\n{command}" if command and preamble else command


def choose(
    stack: StackContext, services: Iterable[str], *, everything: bool
) -> tuple[Policy, ...]:
    """Return the policies that `--service` or `--all` name; UsageError for none."""
    known = policies_of(stack)
    names = stack.model.check_services(services)
    if everything == bool(names):
        raise UsageError(
            "select services: --service NAME (repeatable), or --all",
            hint=f"services with data: {', '.join(known)}",
        )
    for name in names:
        if name not in known:
            raise UsageError(
                f"{name} declares no data",
                hint=f"services with data: {', '.join(known)}; docs/backup.md says how "
                "labels declare it",
            )
    return _without_repeated(known[name] for name in names or known)


def _without_repeated(chosen: Iterable[Policy]) -> tuple[Policy, ...]:
    """
    Leave out a service all of whose data is in the archives of one before it.

    ConfigurationError where only a part of it is.
    """
    found: dict[str, Policy] = {}
    owners: dict[str, str] = {}
    for policy in chosen:
        sources = {mount.source for mount in policy.mounts}
        repeated = sources & owners.keys()
        if repeated and repeated != sources:
            shared = min(repeated)
            raise ConfigurationError(
                f"{owners[shared]} and {policy.service} both declare {shared} as data",
                hint="declare it on one of them; the other is stopped for the copy",
            )
        if not repeated:
            found[policy.service] = policy
            owners |= dict.fromkeys(sources, policy.service)
    return tuple(found.values())


def _require(service: str, holds: bool, what: str) -> None:  # noqa: FBT001
    if not holds:
        raise ConfigurationError(
            f"the labels of {service} name {what}",
            hint=f"correct {PREFIX}data.* and {PREFIX}backup.* in the compose files; "
            "docs/backup.md",
        )


__all__ = ["PRODUCT", "Policy", "choose", "policies", "policies_of"]
