"""What is known of products: a TOML file each, read here; projects add their own."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

from compose_ops.errors import ConfigurationError

LABEL = "compose-ops.product"
DATA_LABEL = "compose-ops.data.volumes"
# Tables whose keys are settings of a service, named as its labels are.
SETTINGS = ("data", "backup", "restore", "drill")
_FACTS = (
    *("title", "images", "recipe", "privileges", "environment", "machine"),
    *SETTINGS,
)


@dataclass(frozen=True, slots=True)
class Product:
    """
    A program that runs in containers, and what operations need to know of it.

    `images` are last components of image names, without tags. `settings` are labels of
    a service without their prefix, such as `backup.count`; a label has precedence.
    `recipe` says in a line how its data is copied, `privileges` are the capabilities it
    needs where it starts as root, and `ignored_environment` maps a variable without
    effect to what has, "" where nothing does.

    Of the machine it needs `map_count` memory mappings and `open_files` descriptors; 0
    is no need of its own. In the folder `dumps`, "" for none, it writes its memory.
    With `keeps_password` it takes a password at its first start alone.
    """

    name: str
    title: str
    images: tuple[str, ...] = ()
    recipe: str = ""
    privileges: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    ignored_environment: Mapping[str, str] = field(default_factory=dict)
    map_count: int = 0
    open_files: int = 0
    dumps: str = ""
    keeps_password: bool = False


@dataclass(frozen=True, slots=True)
class Products:
    """The products that a project knows, by name."""

    known: Mapping[str, Product]

    def of_image(self, image: str) -> Product | None:
        """
        Return the product of an image: the last component of its name, exactly.

        >>> load().of_image("docker.io/library/postgres:15@sha256:0a").title
        'PostgreSQL'
        >>> load().of_image("registry.example/postgres-exporter:1") is None
        True
        """
        name = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
        found = (p for p in self.known.values() if name in p.images)
        return next(found, None)

    def of_service(self, service: Mapping[str, Any]) -> Product | None:
        """
        Return the product that a service of the merged model runs, None for unknown.

        Its label names it, or its image does. Raises ConfigurationError for a label
        that names no product.
        """
        named = str((service.get("labels") or {}).get(LABEL, ""))
        if not named:
            return self.of_image(str(service.get("image") or ""))
        if named not in self.known:
            raise ConfigurationError(
                f"the label {LABEL} names the unknown product {named!r}",
                hint=f"one of: {', '.join(sorted(self.known))}",
            )
        return self.known[named]

    def keeps_data_at(self, service: Mapping[str, Any], target: str) -> bool:
        """Say whether a service of the merged model keeps data in that folder."""
        product = self.of_service(service)
        settings = product.settings if product else {}
        labels = service.get("labels") or {}
        declared = str(labels.get(DATA_LABEL, "")).split()
        folder = PurePosixPath(target)
        return target in declared or any(
            folder.is_relative_to(path) or PurePosixPath(path).is_relative_to(folder)
            for path in settings.get("data.paths", "").split()
        )


def holds_running(settings: Mapping[str, str]) -> bool:
    """Say whether settings have what makes a copy of a running store consistent."""
    has = {key for key, text in settings.items() if text.strip()}
    prepared = "backup.native.prepare" in has
    ended = has & {"backup.native.release", "backup.native.order"}
    return "backup.native.session" in has or (prepared and bool(ended))


def load(more: Iterable[Path] = ()) -> Products:
    """
    Return the products of this package and those in the files *more*.

    A file is named after its product; one of the project's replaces one of the package.
    Raises ConfigurationError for a file that cannot be read or has unknown keys.
    """
    own = {}
    for path in more:
        try:
            own[path.stem] = _product(path.stem, path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as wrong:
            raise ConfigurationError(
                f"the product file {path} cannot be read: {wrong}",
                hint="docs/backup.md shows its keys",
            ) from wrong
    return Products({**_packaged(), **own})


@cache
def _packaged() -> Mapping[str, Product]:
    found = (p for p in files(__name__).iterdir() if p.name.endswith(".toml"))
    return {
        name: _product(name, path.read_text(encoding="utf-8"))
        for path in sorted(found, key=lambda path: path.name)
        if (name := path.name.removesuffix(".toml"))
    }


def _product(name: str, text: str) -> Product:
    data = tomllib.loads(text)
    if unknown := set(data) - set(_FACTS):
        raise ValueError(f"unknown key {', '.join(sorted(unknown))}")
    settings = {
        key: value
        for group in SETTINGS
        for key, value in _flat(group, data.get(group, {}))
    }
    machine = dict(data.get("machine", {}))
    product = Product(
        name=name,
        map_count=int(machine.pop("map-count", 0)),
        open_files=int(machine.pop("open-files", 0)),
        dumps=str(machine.pop("dumps", "")),
        keeps_password=machine.pop("keeps-password", False) is True,
        title=str(data.get("title", name)),
        images=tuple(map(str, data.get("images", ()))),
        recipe=str(data.get("recipe", "")),
        privileges=tuple(map(str, data.get("privileges", ()))),
        settings=settings,
        ignored_environment=dict(data.get("environment", {}).get("ignored", {})),
    )
    if machine:
        raise ValueError(f"unknown key machine.{', machine.'.join(sorted(machine))}")
    return product


def _flat(prefix: str, table: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield the settings in a table by their dotted keys; lists become words."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}.{key}", value)
        elif isinstance(value, list):
            yield f"{prefix}.{key}", " ".join(map(str, value))
        else:
            yield f"{prefix}.{key}", str(value).strip("\n")
