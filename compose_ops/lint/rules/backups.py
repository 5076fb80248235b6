"""What labels say of data and its copies, where they say anything."""

from collections.abc import Iterator
from difflib import get_close_matches

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.target import LintTarget, Service
from compose_ops.products import holds_running, load
from compose_ops.project.labels import DATA_LABELS, PREFIX, normalised


def stated(service: Service) -> dict[str, str]:
    """Return the labels of a service under our prefix, without it."""
    found = service.get("labels", default={}) or {}
    return {
        key.removeprefix(PREFIX): str(value)
        for key, value in normalised(found).items()
        if key.startswith(PREFIX)
    }


@rule(
    "data-label-unknown",
    "error",
    "A label under `compose-ops.data`, `backup`, `restore` or `drill` is none that is "
    "read.",
    why="A typing error in a label's name leaves the data of the service out of every "
    "backup; the tasks refuse it.",
    source="compose_ops/project/labels.py",
    repair="Write the label as docs/backup.md has it.",
    acceptable=False,
)
def data_label_unknown(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        for key in stated(service):
            group = key.partition(".")[0]
            if group not in {"data", "backup", "restore", "drill"}:
                continue
            if key not in DATA_LABELS:
                near = get_close_matches(key, DATA_LABELS, n=1, cutoff=0.5)
                meant = f": is {PREFIX}{near[0]} meant?" if near else ""
                yield RawFinding(
                    service.path("labels", PREFIX + key),
                    f"{service.name} has the unknown label {PREFIX}{key}{meant}",
                )


@rule(
    "native-inconsistent",
    "error",
    "A store is to be copied while it runs, and nothing makes the copy consistent.",
    why="Files of a running store are read one after another: without a session, a "
    "lock, or an order behind a preparation the copy is of no moment at all.",
    source="docs/backup.md, Consistency",
    repair="State `backup.native.session`, `prepare` with `release` or `order`, or "
    "leave `native` out.",
    acceptable=False,
)
def native_inconsistent(subject: LintTarget) -> Iterator[RawFinding]:
    products = load()
    for service in subject.services:
        labels = stated(service)
        product = products.of_service(service.spec)
        given = {**(product.settings if product else {}), **labels}
        levels = given.get("backup.consistency", "").split()
        if "native" in levels and not holds_running(given):
            native = (key for key in labels if key.startswith("backup.native."))
            is_stated = "backup.consistency" in labels
            blamed = "backup.consistency" if is_stated else next(native, "")
            yield RawFinding(
                service.path("labels", f"{PREFIX}{blamed}"),
                f"{service.name} is copied while it runs, and nothing makes the copy "
                "consistent",
            )
