"""Labels that this package reads, under whichever prefix they were written."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

PREFIX = "compose-ops."


@cache
def old_prefix() -> str:
    """Return the prefix of the version before, which is an alias."""
    text = (files("compose_ops") / "compat.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["labels"]["prefix"])


def normalised(labels: Mapping[str, str]) -> dict[str, str]:
    """
    Return labels with `PREFIX` in place of the older one; a new label has precedence.

    >>> normalised({"compose-ops.data.volumes": "pg_data"})
    {'compose-ops.data.volumes': 'pg_data'}
    """
    old = old_prefix()
    renamed = {
        PREFIX + key.removeprefix(old): value
        for key, value in labels.items()
        if key.startswith(old)
    }
    return renamed | {k: v for k, v in labels.items() if not k.startswith(old)}


def with_labels(
    model: Mapping[str, Any], settings: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """
    Return a merged compose model whose services have their labels in one form.

    *settings* are labels by service that the project's configuration states; a label
    in a compose file has precedence.
    """
    services = {
        name: {
            **service,
            "labels": {
                **settings.get(name, {}),
                **normalised(service.get("labels") or {}),
            },
        }
        for name, service in (model.get("services") or {}).items()
    }
    return {**model, "services": services}
