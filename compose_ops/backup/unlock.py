"""Release a store's lock on its data, whatever became of who asked for it."""

import time

from compose_ops.backup.policy import policies_of
from compose_ops.console import say
from compose_ops.docker.api import Container
from compose_ops.errors import ComposeOpsError, EngineError
from compose_ops.project.labels import PREFIX
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock

CLOCK = Clock(now=time.monotonic, sleep=time.sleep)

MARK = "COMPOSE_OPS_BACKUP"
ATTEMPTS = 3
SECONDS_BETWEEN = 1.0
SECONDS_TO_RELEASE = 60.0

# Kills a command that nobody waits for any more, and what it started. Its first process
# came from outside of the container: it has no parent there. Where that one has ended,
# what is left of the command may be what holds the lock.
ABANDON = r"""
marked() {
    for process in /proc/[0-9]*; do
        if { tr '\0' '\n' <"$process/environ" | grep -qxF "$mark"; } 2>/dev/null; then
            echo "${process#/proc/}"
        fi
    done
}
mark="$0"
for tool in tr grep; do
    command -v $tool >/dev/null || { echo "there is no $tool"; exit 1; }
done
unfinished=""
for id in $(marked); do
    if grep -q "^PPid:[^1-9]*0$" "/proc/$id/status" 2>/dev/null; then unfinished=yes; fi
done
if [ -z "$unfinished" ]; then exit 0; fi
for pass in 1 2 3 4 5; do
    left="$(marked)"
    if [ -z "$left" ]; then exit 0; fi
    kill -9 $left
done
test -z "$(marked)"
"""


def unlock(stack: StackContext, lock: dict[str, str]) -> None:
    """
    Run a store's release command, unless a restart has cleared its lock.

    A preparation that did not come to its end is ended first: it would lock again.
    Raises EngineError when it does not succeed, again and again.
    """
    said = ""
    release = lock["release"]
    for attempt in range(ATTEMPTS):
        container = stack.engine.container(lock["id"])
        if container is None or not container.is_running:
            return
        if lock.get("started", start_time(container)) != start_time(container):
            return
        CLOCK.sleep(attempt * SECONDS_BETWEEN)
        if (mark := lock.get("mark")) and (lock["release"] or lock.get("session")):
            _abandon(stack, container, lock["shell"], mark)
        if not release:
            return
        for command in dict.fromkeys((_corrected(stack, lock), release)):
            done = stack.engine.execute(
                container.id,
                [lock["shell"], "-c", command],
                user=lock.get("user", ""),
                timeout=SECONDS_TO_RELEASE,
            )
            if done.code == 0:
                return
            said = (done.stderr + done.stdout).strip()
    raise EngineError(
        f"{lock['service']} did not release its data for writing",
        hint=f"correct the label {PREFIX}backup.native.release, or clear the lock with "
        f"docker restart {lock['id'][:12]}; the next task tries again",
        detail=said,
    )


def _corrected(stack: StackContext, lock: dict[str, str]) -> str:
    """Return the release command as the files state it now, else the recorded one."""
    try:
        found = policies_of(stack).get(lock["service"])
    except ComposeOpsError:
        return lock["release"]
    return found.release if found and found.release else lock["release"]


def _abandon(stack: StackContext, container: Container, shell: str, mark: str) -> None:
    words = [shell, "-c", ABANDON, mark]
    done = stack.engine.execute(container.id, words, timeout=SECONDS_TO_RELEASE)
    if done.code != 0:
        said = " ".join((done.stderr + done.stdout).split())
        say(f"warning: what prepared {container.name} may still run: {said:.80}")


def start_time(container: Container) -> str:
    """Return when a container was started, as a journal keeps it."""
    return container.started.isoformat() if container.started else ""
