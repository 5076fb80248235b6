"""Labels that this package reads, under whichever prefix they were written."""

from collections.abc import Mapping
from typing import Any

from compose_ops.project.compat import old_name

PREFIX = "compose-ops."

DATA_LABELS = (
    *("data.volumes", "data.disposable", "data.paths", "data.variable", "data.ask"),
    *("data.links", "backup.consistency", "backup.clean-exits", "backup.shell"),
    *("backup.user", "backup.preamble", "backup.native.probe", "backup.native.prepare"),
    *("backup.native.release", "backup.native.session", "backup.native.after"),
    *("backup.native.order", "backup.native.exclude", "backup.count"),
    *("backup.count-rule", "backup.version", "restore.mend", "drill.check"),
)
"""The settings of a service's data; a label is one behind the prefix."""
GATEWAY_LABEL = "compose-ops.gateway.configuration"
"""On the gateways that this package generates: a digest of what configures them."""


def normalised(labels: Mapping[str, str]) -> dict[str, str]:
    """
    Return labels with `PREFIX` in place of the older one; a new label has precedence.

    >>> normalised({"compose-ops.data.volumes": "pg_data"})
    {'compose-ops.data.volumes': 'pg_data'}
    """
    old = old_name("labels", "prefix")
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


def before(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels as the version before wrote them on an engine."""
    old = old_name("labels", "prefix")
    return {old + key.removeprefix(PREFIX): value for key, value in labels.items()}
