"""What a project does by itself: its schedule, and what is told of each task."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from compose_ops.errors import ComposeOpsError, UsageError
from compose_ops.library import backups as sets
from compose_ops.library.faults import described
from compose_ops.library.opening import (
    Place,
    Selection,
    find,
    host_engine,
    project_name,
)
from compose_ops.library.swarm import on_one_engine
from compose_ops.notify.watch import Report, Watch, watching
from compose_ops.runtime.context import StackContext

if TYPE_CHECKING:
    from compose_ops.schedule.jobs import Schedule
    from compose_ops.schedule.manage import JobStatus, Manager


class Opening(Protocol):
    """A project that a task can open: `Stack`."""

    @property
    def selection(self) -> Selection: ...

    @property
    def dry(self) -> bool: ...

    def context(self) -> StackContext: ...


@dataclass(slots=True)
class Watched:
    """An opened project, and what its task says of itself."""

    stack: StackContext
    report: Report

    def is_at(
        self,
        *,
        services: Sequence[str] = (),
        dest: sets.Dests = (),
        every: bool = False,
    ) -> None:
        """
        Say which services and which destinations the task is about.

        That is the first of *dest*, and with *every* all of them.
        """
        from compose_ops.backup import reports

        named = sets.destinations_of(self.stack, dest)
        places = named if every else named[:1]
        self.report.services = tuple(services)
        self.report.destinations = tuple(map(str, places))
        self.report.look = lambda: tuple(
            copy
            for place in places
            for copy in reports.copies(self.stack, place, str(place))
        )


@contextmanager
def watched(stack: Opening, task: str) -> Iterator[Watched]:
    """Open the project for a task, and tell how it went; a dry run is not watched."""
    if stack.dry:
        yield Watched(on_one_engine(stack.context, task), Report())
        return
    place = find(stack.selection, lenient=True)
    opened: list[StackContext] = []

    def name() -> str:
        return opened[0].project if opened else project_name(place)

    watch = Watch(task, place.config, place.root, name, described)
    with watching(watch) as report:
        opened.append(on_one_engine(stack.context, task))
        yield Watched(opened[0], report)


@dataclass(frozen=True, slots=True)
class Scheduling:
    """
    A project's schedule and what starts it: systemd where it runs, else cron.

    >>> Stack.open("/srv/shop").scheduling().install()
    ['/etc/systemd/system/compose-ops-shop-backup.service', ...]
    """

    place: Place
    schedule: "Schedule"
    manager: "Manager"

    @classmethod
    def of(
        cls, stack: Opening, *, program: str, only: Sequence[str] = ()
    ) -> "Scheduling":
        """Return the schedule of a project, with the jobs of *only* or all."""
        from compose_ops.schedule import jobs, manage

        place = find(stack.selection)
        made = jobs.planned(
            place.config, project_name(place), program=program, only=only
        )
        return cls(place, made, manage.manager(made))

    @property
    def prunes(self) -> bool:
        """Say whether the backup removes the sets that no rule keeps."""
        return any(
            "--keep-" in word for job in self.schedule.jobs for word in job.words
        )

    def render(self) -> str:
        """Return the units, or the lines for cron, as text."""
        return self.manager.render(self.schedule)

    def install(self, *, whole: bool = True) -> list[str]:
        """
        Write and start the schedule; return what was written.

        With *whole* jobs that it does not have any more are taken away. Raises
        ConfigurationError for what would fail at night: a secret file that is absent or
        open to others, an extra that is not installed, what others than root may write
        for a job of root's.
        """
        from compose_ops.schedule import manage

        self._check()
        return manage.install(
            self.schedule, self.manager, read=self._read(), whole=whole
        )

    def remove(self) -> list[str]:
        """Take the schedule away; return what was removed."""
        return self.manager.remove(self.schedule.project)

    def status(self) -> "tuple[JobStatus, ...]":
        """Return each job, its last run and its next."""
        from compose_ops.schedule import manage
        from compose_ops.state import runs

        return manage.status(self.schedule, self.manager, self.place.root, runs.now())

    def at_boot(self) -> int:
        """
        Do what cron does at boot: recover, then run what was missed; an exit code.

        Raises EngineUnavailable when no engine answers within five minutes.
        """
        from compose_ops.schedule import manage
        from compose_ops.state import runs

        manage.await_engine(lambda: host_engine() is not None)
        missed = manage.missed(self.schedule, self.manager, self.place.root, runs.now())
        return manage.run(self.schedule, ["recover", *missed])

    def test(self) -> list[str]:
        """Send a trial message and ping every switch; return what failed."""
        from compose_ops.notify.delivery import Delivery
        from compose_ops.notify.events import Event

        self._check()
        config, project = self.place.config, self.schedule.project
        if not (config.notify.urls or config.notify.pings):
            raise UsageError(
                "nobody is to be told",
                hint="urls or pings under [notify] of compose-ops.toml",
            )
        body = "this is a trial message of compose-ops"
        event = Event("recovered", f"{project}: trial", body)
        watches = [
            Watch(task, config, self.place.root, lambda: project, described)
            for task in config.notify.pings
        ]
        urls = Watch("", config, self.place.root, lambda: project, described).urls()
        pings = [ping for watch in watches for ping in watch.pings("", body)]
        return Delivery([event], urls, pings).finish()

    def _check(self) -> None:
        from compose_ops.backup import encryption
        from compose_ops.notify import delivery, metrics
        from compose_ops.schedule import manage

        config = self.place.config
        manage.check_keys(config)
        if config.schedule.encrypt:
            encryption.recipients(config.schedule.encrypt)
        if config.notify.urls:
            delivery.require()
        if config.metrics.folder:
            metrics.require(config.path(config.metrics.folder))
        for key, path in self._secrets().items():
            manage.check_secret(path, key=key)

    def _secrets(self) -> dict[str, Path]:
        table = self.place.config.notify
        named = {"notify.urls": table.urls} if table.urls else {}
        named |= {f"notify.pings.{task}": file for task, file in table.pings.items()}
        return {key: self.place.config.path(file) for key, file in named.items()}

    def _read(self) -> list[Path]:
        """Return the files that the jobs read."""
        place, config = self.place, self.place.config
        hooks = (config.hooks.before, config.hooks.after, config.hooks.failed)
        files = [file for mode in config.modes.values() for file in mode.files]
        files += [file for one in config.overlays.values() for file in one.files]
        files += [*config.products, *(words[0] for words in hooks if words)]
        files += [config.schedule.identity] if config.schedule.identity else []
        return [
            *(config.path(file) for file in files),
            *place.found.files,
            *place.found.env_files,
            *self._secrets().values(),
            *_programs(words[0] for words in hooks if words),
        ]


def _programs(names: Iterator[str]) -> list[Path]:
    """Return where the programs of hooks lie that are looked up on PATH."""
    import shutil

    found = (shutil.which(name) for name in (*names, "docker"))
    return [Path(path) for path in found if path]


def refuse_faults(found: Sequence[sets.Verification]) -> ComposeOpsError | None:
    """Return what a verification that found damage is, None for whole sets."""
    from compose_ops.errors import DataError

    bad = [result.fault for result in found if result.fault]
    return DataError(bad[0], detail="\n".join(bad[1:])) if bad else None
