"""The command that runs once in the new image before the first replica: a migration."""

import shlex
from collections.abc import Sequence
from contextlib import suppress

from compose_ops.console import say
from compose_ops.docker.api import CHANGE_TIMEOUT, Engine
from compose_ops.errors import ComposeOpsError, ConfigurationError, UnhealthyError
from compose_ops.project.model import Model
from compose_ops.redaction import clean
from compose_ops.rollout.plan import Plan
from compose_ops.rollout.policy import keys_of

SHOWN_LINES = 15


def of(model: Model, plan: Plan) -> tuple[str, ...]:
    """
    Return the command that *plan* begins with, () for none.

    It belongs to another image or configuration: neither a restart nor a replica that
    is missing is a reason. Raises ConfigurationError for quotes that do not end.
    """
    stated = keys_of(model.service(plan.service)).get("before", "")
    wanted = (plan.wanted.image_id, plan.wanted.config_hash)
    old = [slot.old for slot in plan.changing if slot.old]
    if not stated or all((c.image_id, c.config_hash) == wanted for c in old):
        return ()
    try:
        return tuple(shlex.split(stated))
    except ValueError as wrong:
        raise ConfigurationError(
            f"rollout.{plan.service}.before cannot be read: {wrong}",
            hint='a list of words, such as before = ["python", "manage.py", "migrate"]',
        ) from wrong


def run(engine: Engine, project: str, service: str, command: Sequence[str]) -> None:
    """
    Run *command* in a container of *service* as *engine*'s files describe it.

    It is on the service's networks under none of its names, publishes nothing, and is
    removed at its end. Raises UnhealthyError with its last lines when it fails,
    ConfigurationError while the one of an update that was killed still runs.
    """
    name = f"{project}-{service}-before"
    left = engine.container(name)
    if left is not None and left.is_running:
        raise ConfigurationError(
            f"{name} still runs: an update that was killed began it",
            hint=f"docker logs {name} shows what it does; wait for its end, or docker "
            f"rm -f {name}",
        )
    if left is not None:
        engine.remove(left.id, force=True)
    say(f"{service}: running {shlex.join(command)}")
    try:
        output = engine.run_service(service, command, name=name, timeout=CHANGE_TIMEOUT)
    except BaseException:
        with suppress(ComposeOpsError):
            engine.remove(name, force=True)
        raise
    if output.code != 0:
        lines = clean(output.stdout + output.stderr).strip().splitlines()
        raise UnhealthyError(
            f"{service} was not updated, nothing was changed: {shlex.join(command)} "
            f"ended with exit code {output.code}",
            hint="repair the command or what it works on, and update again",
            detail="\n".join(lines[-SHOWN_LINES:]),
        )
