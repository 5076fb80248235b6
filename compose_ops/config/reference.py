"""
The page on `compose-ops.toml`, made from the schema: `docs/configuration.md`.

`python -m compose_ops.config.reference` writes it; a test keeps it current.
"""

import json
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from compose_ops.config.schema import VERSION, Config
from compose_ops.project.modes import FACTS
from compose_ops.project.paths import CONFIG_FILE

PAGE = "docs/configuration.md"

HEAD = f"""\
# {CONFIG_FILE}

Made by `python -m compose_ops.config.reference`.

A project needs no such file: everything has a default. It lies in the project's folder
or above it; the nearest one counts, and its paths are relative to its own folder. A key
that is unknown or of a wrong type is refused with its name and the nearest known one
(exit code 3); `--list` and `--help` work all the same. This is version {VERSION} of the
format.

Which compose files a task takes, the first of these that names any:

1. flags: `--mode`, a mode's own flag, `--overlay`, `--gpu`;
2. `COMPOSE_FILE` with `COMPOSE_PATH_SEPARATOR`, of the shell or of `.env`;
3. without flags, the files with which the project was started; where 4 or 5 have them
   and others, or one is gone, those of 4 or 5, and the task says so;
4. `files` of {CONFIG_FILE};
5. what Compose finds itself: `compose.yaml`, `compose.yml`, `docker-compose.yml` or
   `docker-compose.yaml`, here or in a folder above, with its override file.

A `COMPOSE_FILE` beside a flag, and an override file that 4 leaves out, are not used,
and the task says so.

`COMPOSE_PROJECT_NAME`, `COMPOSE_PROFILES`, `COMPOSE_ENV_FILES` and
`COMPOSE_DISABLE_ENV_FILE` mean what they mean to Compose. The project's name is that of
the merged model.
"""

FACT_TEXTS = {
    "gpu": "the engine has the nvidia runtime, or `--gpu on`",
    "no-gpu": "it has not, or `--gpu off`",
    "rootless": "the engine runs without root",
    "amd64": "the engine's machine is x86-64",
    "arm64": "the engine's machine is 64-bit ARM",
}

TYPES = {str: "text", int: "number", bool: "boolean", tuple: "list of texts"}


def page() -> str:
    """Return the whole page in Markdown."""
    lines = [HEAD, *_section("", Config), "## Facts of an engine", ""]
    lines += ["| `when` | holds where |", "|---|---|"]
    lines += [f"| `{name}` | {FACT_TEXTS[name]} |" for name in FACTS]
    return "\n".join(lines) + "\n"


def _section(path: str, schema: type) -> Iterator[str]:
    """Yield the table of a class of the schema, then those of the classes in it."""
    title = f"`[{path}]`" if path else "Top level"
    yield from (f"## {title}", "")
    if path:
        yield from (" ".join(str(schema.__doc__).split()), "")
    yield from ("| key | type | default | meaning |", "|---|---|---|---|")
    inner: list[tuple[str, Any]] = []
    kinds = get_type_hints(schema)
    for one in fields(schema):
        if not one.metadata:
            continue
        kind, text = kinds[one.name], one.metadata["text"]
        nested = kind if is_dataclass(kind) else _inside(kind)
        if one.metadata["labels"]:
            inner.append((f"{_joined(path, one.name)}.SERVICE", one))
        elif nested:
            name = one.name if is_dataclass(kind) else f"{one.name}.NAME"
            inner.append((_joined(path, name), nested))
        else:
            yield f"| `{one.name}` | {_type(kind)} | {_default(one)} | {text} |"
    yield ""
    for name, found in inner:
        if isinstance(found, Field):
            yield from _labels(name, found)
        else:
            yield from _section(name, found)


def _labels(path: str, one: "Field[Any]") -> Iterator[str]:
    """Yield the table of keys that stand for labels."""
    yield from (f"## `[{path}]`", "", one.metadata["text"], "")
    yield from ("| key | label |", "|---|---|")
    for key, label in one.metadata["labels"].items():
        yield f"| `{key}` | `compose-ops.{label}` |"
    yield ""


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _inside(kind: Any) -> Any:
    """Return the class of a table's tables, None where its values are plain."""
    if get_origin(kind) is tuple or not get_args(kind):
        return None
    found = get_args(kind)[1]
    return found if is_dataclass(found) else None


def _type(kind: Any) -> str:
    if not _is_list(kind) and kind not in TYPES:
        return "table of texts"
    return TYPES[tuple] if _is_list(kind) else TYPES[kind]


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _default(one: "Field[Any]") -> str:
    value = one.default if one.default is not MISSING else {}
    return f"`{json.dumps(value)}`" if value not in ("", (), {}) else "none"


def main(root: Path = Path(__file__).parents[2]) -> None:
    """Write the page."""
    (root / PAGE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
