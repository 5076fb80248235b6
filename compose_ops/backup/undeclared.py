"""Writable mounts of which nobody says whether they are data: no set is whole then."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from compose_ops.backup.policy import Policy, labels, policies, policy
from compose_ops.console import say
from compose_ops.errors import DataError
from compose_ops.products import Products, load
from compose_ops.project.labels import PREFIX
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext

SHOWN = 3
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")


def listed(stack: StackContext) -> tuple[str, ...]:
    """Return the writable mounts that nobody declares as data or as disposable."""
    products = load(stack.product_files)
    return (
        *in_model(stack.model, products),
        *_of_images(stack, products),
    )


def _of_images(stack: StackContext, products: Products) -> list[str]:
    """Name the anonymous volumes that images of stores declare and nobody mounts."""
    found: dict[str, None] = {}
    for container in stack.refresh():
        service = container.service
        if container.is_one_off or not _is_store(stack.model, service, products):
            continue
        mounted = stack.model.service(service).get("volumes") or ()
        known = {str(mount["target"]).rstrip("/") for mount in mounted}
        spared = _disposable_folders(stack.model, products, service)
        for mount in container.mounts:
            if not _ANONYMOUS.fullmatch(mount.name) or mount.target in known:
                continue
            if not _lies_in(mount.target, spared):
                line = f"{service}: an anonymous volume of its image on {mount.target}"
                found[line] = None
    return list(found)


def check(stack: StackContext, chosen: Sequence[Policy], *, allowed: bool) -> None:
    """Refuse to call a set whole that leaves out what may be data. DataError."""
    found = listed(stack)
    if found and not allowed:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise DataError(
            "not declared as data or as disposable: " + "; ".join(found[:SHOWN]) + more,
            hint=f"the labels {PREFIX}data.volumes and {PREFIX}data.disposable say it; "
            "--allow-undeclared leaves it out",
        )
    if not chosen:
        raise DataError(
            "no service has data that can be backed up",
            hint=f"the label {PREFIX}data.volumes declares it; docs/backup.md",
        )
    for line in found:
        say(f"warning: left out, not declared as data: {line}")


def in_model(model: Model, products: Products) -> tuple[str, ...]:
    """
    Name the writable mounts that nobody declares, as `SERVICE: SOURCE on TARGET`.

    A volume that another service declares is covered; an anonymous one never is: the
    next container starts without it. A known product covers no more than its policy
    takes as data, and what its file calls disposable.
    """
    covered = policies(model, products)
    kept = {mount.source for policy in covered.values() for mount in policy.mounts}
    spared = {key for _, key in _disposable(model, products) if key in model.volumes}
    found: dict[str, None] = {}
    for name, service in model.services.items():
        folders = _disposable_folders(model, products, name)
        for mount in service.get("volumes") or ():
            source, target = str(mount.get("source") or ""), str(mount["target"])
            skip = mount.get("read_only") or _lies_in(target, folders)
            if skip or source in spared or not _may_hold_data(mount):
                continue
            is_volume = mount["type"] == "volume"
            real = model.volume_name(source) if is_volume else source.rstrip("/") or "/"
            if real not in kept or not source:
                found[f"{name}: {source or 'an anonymous volume'} on {target}"] = None
    return tuple(found)


def _may_hold_data(mount: Mapping[str, Any]) -> bool:
    source = str(mount.get("source") or "")
    return mount["type"] == "volume" or (
        mount["type"] == "bind" and not _lies_in(source, _OF_THE_MACHINE)
    )


# What lies there is the machine's: sockets, devices, what names it and its users.
_OF_THE_MACHINE = (
    *("/dev", "/proc", "/run", "/sys", "/tmp/.X11-unix", "/var/run"),  # noqa: S108
    *("/etc/group", "/etc/gshadow", "/etc/hostname", "/etc/hosts", "/etc/localtime"),
    *("/etc/machine-id", "/etc/nsswitch.conf", "/etc/os-release", "/etc/passwd"),
    *("/etc/resolv.conf", "/etc/shadow", "/etc/ssl/certs", "/etc/timezone"),
)


def _lies_in(path: str, folders: Iterable[str]) -> bool:
    """Say whether a path is one of *folders*, or below it."""
    return any(PurePosixPath(path).is_relative_to(folder) for folder in folders)


def _disposable(model: Model, products: Products) -> Iterator[tuple[str, str]]:
    for name, service in model.services.items():
        product = products.of_service(service)
        settings = dict(product.settings) if product else {}
        stated = labels(model, name).get(PREFIX + "data.disposable")
        for key in (stated or settings.get("data.disposable", "")).split():
            yield name, key


def _is_store(model: Model, service: str, products: Products) -> bool:
    """Say whether a service has declared data, or is of a known product."""
    if service not in model.services:
        return False
    return (
        products.of_service(model.service(service)) is not None
        or policy(model, service, products) is not None
    )


def disposable(model: Model, products: Products) -> frozenset[str]:
    """Return the volumes and folders that services declare not to be data."""
    return frozenset(key for _, key in _disposable(model, products))


def _disposable_folders(model: Model, products: Products, service: str) -> list[str]:
    """Return the folders in a service's containers that are declared not to be data."""
    return [
        key
        for name, key in _disposable(model, products)
        if name == service and key.startswith("/")
    ]
