"""The composition root: which implementation each operation gets of the others."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compose_ops.state import recovery
from compose_ops.state.journal import Journal
from compose_ops.state.store import StateFile

if TYPE_CHECKING:
    from compose_ops.config import Config
    from compose_ops.project.model import Model
    from compose_ops.runtime.context import (
        Backups,
        Preconditions,
        RollingUpdates,
        StackContext,
        StorePoints,
    )


class Operations:
    """The operations of this package; each is loaded when another first needs it."""

    @property
    def require(self) -> "Preconditions":
        from compose_ops.doctor import requirements

        return requirements.require_for

    @property
    def rollout(self) -> "RollingUpdates":
        from compose_ops.rollout import delegation

        return delegation

    @property
    def backups(self) -> "Backups":
        from compose_ops.backup import reports

        return reports

    @property
    def gateway_overlay(self) -> "Callable[[Model, Config], str]":
        """What returns the compose file with the gateways of a project, "" for none."""
        from compose_ops.rollout.gateway import overlay

        return overlay.of_configuration

    @property
    def store_points(self) -> "StorePoints":
        from compose_ops.backup import update_points

        return update_points

    @property
    def prepare_images(self) -> Callable[["StackContext"], None]:
        from compose_ops.stack import local_images

        return local_images.prepare

    @property
    def state_files(self) -> Sequence[StateFile[Any]]:
        from compose_ops.backup import destinations, endings, restore_points
        from compose_ops.doctor import baseline
        from compose_ops.rollout import deployments
        from compose_ops.runtime import config_hashes, contents, stale_images

        holders = (
            *(baseline, config_hashes, contents, deployments),
            *(destinations, endings, restore_points, stale_images),
        )
        return [module.STATE_FILE for module in holders]

    @property
    def deployed_text(self) -> Callable[[Path], str | None]:
        from compose_ops.rollout import deployments

        return deployments.remembered

    @property
    def helper_image(self) -> "Callable[[StackContext], str]":
        from compose_ops.backup import helper

        return helper.require


OPERATIONS = Operations()


def _undo_backup(stack: Any, journal: Journal) -> None:
    from compose_ops.backup import recover

    recover.undo(stack, journal)


def _undo_restore(stack: Any, journal: Journal) -> None:
    from compose_ops.backup import restore_rollback

    restore_rollback.undo(stack, journal)


def _undo_drill(stack: Any, journal: Journal) -> None:
    from compose_ops.backup import drill_cleanup

    drill_cleanup.undo(stack, journal)


def _undo_update(stack: Any, _journal: Journal) -> None:
    from compose_ops.rollout import update

    update.clean_up(stack)


def _of_backup(facts: Mapping[str, Any]) -> Collection[str]:
    """Return the services that a backup stopped or locked."""
    groups = ("stores", "dependents", "locked", "ending")
    return {one["service"] for group in groups for one in facts.get(group, ())}


def _of_restore(facts: Mapping[str, Any]) -> Collection[str]:
    return {*facts["services"], *_of_backup(facts)}


def _of_drill(_facts: Mapping[str, Any]) -> Collection[str]:
    """Return no service: what a drill leaves stands beside the project."""
    return ()


def _of_update(facts: Mapping[str, Any]) -> Collection[str]:
    return (facts["service"],)


recovery.register("backup", _undo_backup, concerns=_of_backup)
recovery.register("restore", _undo_restore, concerns=_of_restore)
recovery.register("drill", _undo_drill, concerns=_of_drill)
recovery.register("update", _undo_update, concerns=_of_update)
