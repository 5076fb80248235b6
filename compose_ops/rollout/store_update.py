"""What the update of a store needs before it begins: a way back for its data."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from compose_ops.console import say
from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.rollout import deployments
from compose_ops.rollout.plan import Plan
from compose_ops.rollout.policy import START_FIRST
from compose_ops.rollout.request import UpdateRequest
from compose_ops.runtime.context import StackContext
from compose_ops.units import readable_size

TAG = re.compile(r"v?(\d+(?:\.\d+)*)(?:[-_+].*)?")
NO_POINT = (
    "no restore point: where the new version fails after it changed the data, the old "
    "one starts on what is then there"
)


@dataclass(frozen=True, slots=True)
class StoreData:
    """The data of a service, as far as restore points save it."""

    stack: StackContext
    service: str

    def make(self, point: str) -> None:
        """Copy the data; DataError where that fails."""
        self.stack.collaborators.store_points.make(self.stack, self.service, point)

    def bring_back(self, point: str) -> None:
        """Replace the data by the point's; DataError where that fails."""
        points = self.stack.collaborators.store_points
        points.bring_back(self.stack, self.service, point)

    def keep(self, point: str) -> None:
        """List the point for `restore --undo`."""
        self.stack.collaborators.store_points.keep(self.stack, self.service, point)

    def drop(self, point: str) -> None:
        """Remove the point, whole or not."""
        self.stack.collaborators.store_points.drop(self.stack, self.service, point)


def require_consistent(
    stack: StackContext, service: str, request: UpdateRequest
) -> None:
    """Raise UsageError for flags that exclude each other, or that nothing needs."""
    if not (request.restore_point or request.no_restore_point):
        return
    if request.restore_point and request.no_restore_point:
        raise UsageError(
            "--restore-point and --no-restore-point exclude each other",
            hint="give one of them",
        )
    if not stack.collaborators.store_points.has_data(stack, service):
        raise UsageError(
            f"{service} declares no data: its update needs no restore point",
            hint="docs/backup.md says how labels declare data",
        )


def restore_point(stack: StackContext, plan: Plan, request: UpdateRequest) -> str:
    """
    Return the point that the update makes or takes, "" for none, and say what it costs.

    A store is a service with data; it gets a new version by another image. Raises
    DataError where there is no room or the set that is named is no point,
    ConfigurationError where replicas that run would change the data meanwhile.
    """
    points = stack.collaborators.store_points
    service = plan.service
    if not _changes_version(plan) or not points.has_data(stack, service):
        return ""
    if request.no_restore_point:
        say(f"{service}: {NO_POINT}")
        return ""
    if request.restore_point:
        point = points.accept(stack, service, request.restore_point)
        say(
            f"{service}: a failure brings the data of {request.restore_point} back; "
            "what was written since is lost then"
        )
        return point
    if len(plan.batches()) > 1 or plan.unchanged:
        raise ConfigurationError(
            f"the replicas of {service} share its data, and some would run while it is "
            "copied",
            hint="set update_config.parallelism to 0, or give --restore-point SET or "
            "--no-restore-point",
        )
    cost = points.measure(stack, service)
    space = "no space of its own at first" if cost.shared else readable_size(cost.bytes)
    say(
        f"{service}: a restore point before the new version starts: {space} "
        f"({readable_size(cost.free)} free), about {max(cost.seconds, 1):.0f} s more "
        "of downtime; a failure brings its data back as it is then"
    )
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}-{now.microsecond:06d}"


def name_jump(stack: StackContext, plan: Plan, given: str) -> None:
    """Say that the image is of another major version; *given* is what it is called."""
    old = next((s.old for s in plan.changing if s.old), None)
    if old is None or not _changes_image(plan) or not plan.wanted.image_id:
        return
    points, service = stack.collaborators.store_points, plan.service
    versions = [
        points.version(stack, service, i) for i in (old.image_id, plan.wanted.image_id)
    ]
    if not all(versions):
        known = deployments.read(stack.state).of(service).name
        versions = [tagged(known or old.image), tagged(given or plan.wanted.image)]
    before, after = versions
    if not (before and after) or before.split(".")[0] == after.split(".")[0]:
        return
    more = ""
    if points.has_data(stack, service):
        more = ": what it makes of the data the old one may not read any more"
    say(f"{service}: from {before} to {after}, another major version{more}")


def tagged(image: str) -> str:
    """
    Return the version in an image's tag, "" for none.

    >>> tagged("registry.example:5000/postgres:15.4-bookworm"), tagged("app:latest")
    ('15.4', '')
    """
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found = TAG.fullmatch(tag)
    return found[1] if found else ""


def _changes_version(plan: Plan) -> bool:
    return plan.policy.order != START_FIRST and _changes_image(plan)


def _changes_image(plan: Plan) -> bool:
    return any(s.old and s.old.image_id != plan.wanted.image_id for s in plan.changing)
