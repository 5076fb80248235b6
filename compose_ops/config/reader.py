"""Read `compose-ops.toml`; what the schema does not know is refused by name."""

import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from compose_ops.config.schema import ARGUMENTS, VERSION, Config
from compose_ops.errors import ConfigurationError
from compose_ops.project.paths import CONFIG_FILE

KINDS = {str: "text", int: "a whole number", bool: "true or false"}


def load(folder: Path) -> Config:
    """
    Return the configuration in *folder*, the defaults where it has no file.

    Raises ConfigurationError, naming file and key, for what is wrong in it.
    """
    file = folder / CONFIG_FILE
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return Config(folder=folder)
    except (OSError, ValueError) as wrong:
        raise ConfigurationError(
            f"{file} cannot be read: {wrong}", hint="it is TOML, in UTF-8"
        ) from wrong
    reader = _Reader(file)
    if data.get("version", VERSION) != VERSION:
        reader.refuse(
            f"version is {data['version']!r}, this release reads version {VERSION}",
            hint="install a release of compose-ops that reads it",
        )
    values = reader.table(Config, data, ())
    found = Config(**values, folder=folder)
    _check(found, reader)
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    file: Path

    def refuse(self, what: str, *, hint: str) -> NoReturn:
        raise ConfigurationError(f"{self.file}: {what}", hint=hint)

    def unknown(self, path: tuple[str, ...], known: Iterable[str]) -> NoReturn:
        """Refuse a name, with the nearest one that is known."""
        names = sorted(known)
        near = get_close_matches(path[-1], names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(names)}"
        self.refuse(f"there is no key {'.'.join(path)}", hint=hint)

    def table(self, schema: type, data: Any, path: tuple[str, ...]) -> dict[str, Any]:
        """Return the values of one table by the names of its fields."""
        if not isinstance(data, Mapping):
            self.refuse(f"{'.'.join(path)} is no table", hint="docs/configuration.md")
        kinds = get_type_hints(schema)
        known = {f.name: f for f in fields(schema) if f.metadata}
        found = {}
        for name, value in data.items():
            if name not in known:
                self.unknown((*path, name), known)
            here = (*path, name)
            if labels := known[name].metadata["labels"]:
                found[name] = self.by_service(value, here, labels)
            else:
                found[name] = self.value(kinds[name], value, here)
            if choices := known[name].metadata["choices"]:
                self.check_choice(value, here, choices)
        return found

    def check_choice(
        self, value: Any, path: tuple[str, ...], choices: tuple[str, ...]
    ) -> None:
        """Refuse a word, in a list or as the key of a table, that is none of them."""
        words = value if isinstance(value, list | Mapping) else [value]
        for word in words:
            if word not in choices:
                near = get_close_matches(str(word), choices, n=1)
                meant = f"did you mean {near[0]}?" if near else ""
                self.refuse(
                    f"{'.'.join(path)} is {word!r}",
                    hint=meant or f"one of: {', '.join(choices)}",
                )

    def value(self, kind: Any, value: Any, path: tuple[str, ...]) -> Any:
        """Return a value as the schema's type; refuse one of another type."""
        if isinstance(kind, type) and is_dataclass(kind):
            return kind(**self.table(kind, value, path))
        if get_origin(kind) is tuple:
            if not isinstance(value, list):
                self.wrong(value, "a list", path)
            return tuple(self.value(str, one, path) for one in value)
        if kind not in KINDS:
            if not isinstance(value, Mapping):
                self.wrong(value, "a table", path)
            inner = get_args(kind)[1]
            return {k: self.value(inner, v, (*path, k)) for k, v in value.items()}
        if type(value) is not kind:
            self.wrong(value, KINDS[kind], path)
        return value

    def wrong(self, value: Any, wanted: str, path: tuple[str, ...]) -> NoReturn:
        self.refuse(
            f"{'.'.join(path)} is {value!r}, not {wanted}", hint="docs/configuration.md"
        )

    def by_service(
        self, value: Any, path: tuple[str, ...], labels: Mapping[str, str]
    ) -> dict[str, dict[str, str]]:
        """Return tables by service whose keys stand for labels, as text."""
        if not isinstance(value, Mapping):
            self.wrong(value, "a table", path)
        found: dict[str, dict[str, str]] = {}
        for service, table in value.items():
            if not isinstance(table, Mapping):
                self.wrong(table, "a table", (*path, service))
            flat = _flat(table)
            for name in flat:
                if name not in labels:
                    self.unknown((*path, service, name), labels)
            found[service] = flat
        return found


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return a table without tables in it: keys joined by dots, values as text."""
    found: dict[str, str] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            is_command = name in ARGUMENTS and isinstance(value, list)
            words = [_text(one) for one in value] if is_command else []
            found[prefix + name] = shlex.join(words) if is_command else _text(value)
    return found


def _text(value: Any) -> str:
    """
    Return a value as a label states it.

    >>> _text([0, 143]), _text(True)
    ('0 143', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return str(value)


def _check(config: Config, reader: _Reader) -> None:
    """Refuse names of modes that are none, and files that are not there."""
    for name in (config.init.registry_mode, config.init.production_mode):
        if name and name not in config.modes:
            reader.unknown(("modes", name), config.modes)
    named = {
        "files": config.files,
        "products": config.products,
        **{f"modes.{n}.files": m.files for n, m in config.modes.items()},
        **{f"overlays.{n}.files": o.files for n, o in config.overlays.items()},
    }
    for key, files in named.items():
        for file in files:
            if not config.path(file).is_file():
                reader.refuse(
                    f"{key} names {file}, which is not there",
                    hint="paths are relative to the file's own folder",
                )
