"""Around a task: hooks and pings before it, and after it whatever is to be told."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import monotonic

from compose_ops import console
from compose_ops.config import Config
from compose_ops.console import say
from compose_ops.errors import ComposeOpsError, DataError
from compose_ops.interrupts import undoing
from compose_ops.notify import delivery, hooks, metrics
from compose_ops.notify.delivery import Delivery, Ping
from compose_ops.notify.events import events
from compose_ops.notify.outcome import Outcome, remembered
from compose_ops.state import runs
from compose_ops.state.runs import Copy, Runs

LOG_LINES = 50
MOST_ERROR = 300
"""Characters of an error that are remembered."""


@dataclass(slots=True)
class Report:
    """
    What a task says of itself while it runs.

    `fault` is set by a task that returns although what it looked at is bad, with the
    hint. `look` returns what the destinations hold.
    """

    services: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    set_id: str = ""
    fault: ComposeOpsError | None = None
    look: Callable[[], tuple[Copy, ...]] | None = None


@dataclass
class Watch:
    """
    A task of a project that is watched.

    `name` returns the project's name, which may take Compose; `describe` says what an
    exception means to a user.
    """

    task: str
    config: Config
    root: Path
    name: Callable[[], str]
    describe: Callable[[BaseException], ComposeOpsError]
    report: Report = field(default_factory=Report)

    @cached_property
    def project(self) -> str:
        return self.name()

    @property
    def has_hooks(self) -> bool:
        return self.task in self.config.hooks.tasks and not hooks.is_inside()

    def hook(self, name: str, words: Sequence[str], **variables: str) -> str:
        """Run a hook; return what went wrong."""
        if not (words and self.has_hooks):
            return ""
        known = {hooks.TASK: self.task, "COMPOSE_OPS_PROJECT": self.project}
        return hooks.run(
            name,
            words,
            folder=self.config.folder,
            timeout=self.config.hooks.timeout,
            variables=known | variables,
        )

    def pings(self, ending: str = "", body: str = "") -> list[Ping]:
        """Return the request to the task's dead-man's switch, none without one."""
        named = self.config.notify.pings.get(self.task)
        found = self._secret(named)[:1] if named else []
        return [Ping(url.rstrip("/") + ending, body) for url in found]

    def urls(self) -> list[str]:
        """Return the URLs of those who are told, none where the file is unreadable."""
        return self._secret(self.config.notify.urls)

    def _secret(self, file: str) -> list[str]:
        if not file:
            return []
        try:
            return delivery.urls_in(self.config.path(file))
        except (OSError, ValueError) as refused:
            say(f"warning: {file} cannot be read, and nobody is told: {refused}")
            return []


@contextmanager
def watching(watch: Watch) -> Iterator[Report]:
    """
    Tell how the block went, whatever way it ends; nothing of that fails it.

    The hook `before` comes first: where it fails, DataError is raised and the block
    does not begin.
    """
    started, begin = runs.now(), monotonic()
    report = watch.report
    with console.keeping_last(LOG_LINES) as log:
        start = Delivery(pings=watch.pings("/start"))
        error: ComposeOpsError | None = None
        try:
            _begin(watch)
            yield report
            error = report.fault
        except BaseException as raised:
            error = watch.describe(raised)
            raise
        finally:
            with undoing("telling how the task went"):
                outcome = Outcome(
                    task=watch.task,
                    project=watch.project,
                    started=started,
                    ended=runs.now(),
                    seconds=monotonic() - begin,
                    exit_code=error.exit_code if error else 0,
                    error=console.worded(error.message)[:MOST_ERROR] if error else "",
                    hint=console.worded(error.hint) if error else "",
                    set_id=report.set_id,
                    services=report.services,
                    destinations=report.destinations,
                    copies=_looked(report),
                )
                _conclude(watch, outcome, start, log)


def _begin(watch: Watch) -> None:
    if fault := watch.hook("before", watch.config.hooks.before):
        raise DataError(
            f"nothing was begun: {fault}",
            hint="before under [hooks] of compose-ops.toml names it",
        )


def _looked(report: Report) -> tuple[Copy, ...] | None:
    if report.look is None:
        return None
    try:
        return report.look()
    except (ComposeOpsError, OSError) as refused:
        say(f"warning: the sets cannot be listed: {_line(refused)}")
        return None


def _conclude(
    watch: Watch, outcome: Outcome, start: Delivery, log: Sequence[str]
) -> None:
    """Run the hooks, remember, measure, tell: each whatever became of the others."""
    for step in (_hooks, _remember_and_tell):
        try:
            step(watch, outcome, start, log)
        except Exception as refused:  # noqa: BLE001 - telling fails no task
            say(f"warning: {watch.describe(refused).message}")


def _hooks(
    watch: Watch, outcome: Outcome, _start: Delivery, _log: Sequence[str]
) -> None:
    table = watch.config.hooks
    name = "failed" if outcome.failed else "after"
    fault = watch.hook(
        name,
        table.failed if outcome.failed else table.after,
        COMPOSE_OPS_EXIT_CODE=str(outcome.exit_code),
        COMPOSE_OPS_ERROR=outcome.error,
        COMPOSE_OPS_SET=outcome.set_id,
        COMPOSE_OPS_SECONDS=f"{outcome.seconds:.1f}",
        COMPOSE_OPS_DESTINATIONS="\n".join(outcome.destinations),
    )
    if fault:
        say(f"warning: {fault}")


def _remember_and_tell(
    watch: Watch, outcome: Outcome, start: Delivery, log: Sequence[str]
) -> None:
    table = watch.config.notify
    before, after = _remember(watch, outcome)
    _measure(watch, after)
    found = events(outcome, before, after, unverified_days=table.unverified_days)
    told = [event for event in found if event.name in table.events]
    body = outcome.error + ("\n" + "\n".join(log) if table.ping_log else "")
    start.finish()
    Delivery(
        told,
        watch.urls() if told else [],
        watch.pings("/fail" if outcome.failed else "", body.strip()),
    ).finish()


def _remember(watch: Watch, outcome: Outcome) -> tuple[Runs, Runs]:
    """Return what was known before, and what is known now."""
    before = Runs()
    try:
        before = runs.load(watch.root, watch.project)
        runs.update(watch.root, watch.project, lambda now: remembered(now, outcome))
    except (ComposeOpsError, OSError) as refused:
        say(f"warning: how this run went is not remembered: {_line(refused)}")
    return before, remembered(before, outcome)


def _line(refused: BaseException) -> str:
    return refused.message if isinstance(refused, ComposeOpsError) else str(refused)


def _measure(watch: Watch, known: Runs) -> None:
    if not watch.config.metrics.folder:
        return
    try:
        metrics.write(
            watch.config.path(watch.config.metrics.folder), watch.project, known
        )
    except (ComposeOpsError, OSError) as refused:
        say(f"warning: the metrics cannot be written: {_line(refused)}")
