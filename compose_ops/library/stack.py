"""A project as an object: every operation beneath the tasks."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compose_ops.config import Config
from compose_ops.library import backups as sets
from compose_ops.library import swarm
from compose_ops.library.opening import Selection, find, host_engine, open_stack
from compose_ops.library.unattended import Scheduling, refuse_faults, watched
from compose_ops.runtime.context import StackContext

if TYPE_CHECKING:
    from compose_ops.backup.addresses import Place
    from compose_ops.backup.drill import DrillResult
    from compose_ops.backup.fill import Copied
    from compose_ops.backup.host_keys import HostKeys
    from compose_ops.backup.manifest import Manifest
    from compose_ops.backup.repository import BackupSet
    from compose_ops.backup.retention import Rules
    from compose_ops.docker.api import Node
    from compose_ops.doctor.bundle import Bundle
    from compose_ops.doctor.run import Report
    from compose_ops.gpu.report import GpuReport
    from compose_ops.library.gateway import GatewayFile
    from compose_ops.lint import Finding
    from compose_ops.rollout.result import UpdateResult
    from compose_ops.stack.status import ContainerUsage, Status
    from compose_ops.state.recovery import Unfinished


@dataclass(frozen=True, slots=True)
class Stack:
    """
    A Compose project in a mode, and what can be done with it.

    Nothing is printed and nobody is asked; what would ask for a confirmation takes
    `yes=True`. Times are in seconds, sizes in bytes. Every method raises errors of
    `compose_ops.errors`: UsageError for a service that does not exist,
    ConfigurationError for what must be mended in files first, EngineUnavailable without
    an engine, Locked while another task changes the project, and what it names itself.

    >>> from compose_ops import Stack
    >>> stack = Stack.open("/srv/shop", modes=["prod"])
    >>> stack.up(timeout=120)
    >>> made = stack.backup(all=True)
    >>> print(made.id, made.size)
    """

    selection: Selection
    dry: bool = False
    echo: bool = False

    @classmethod
    def open(
        cls,
        folder: str | Path | None = None,
        *,
        modes: Iterable[str] = (),
        files: Iterable[str | Path] = (),
        overlays: Iterable[str] = (),
        gpu: str = "auto",
        dry: bool = False,
        echo: bool = False,
    ) -> "Stack":
        """
        Return the project that is in *folder* or above it; None is the current folder.

        *files* replace the compose files that would be found. Without *modes* the
        project is taken as it was started. With *dry* nothing is changed; with *echo*
        each docker command is written to stderr, secrets redacted. Raises
        ConfigurationError where there is no project or `compose-ops.toml` is wrong,
        UsageError for an unknown mode or overlay.

        >>> Stack.open().status().project
        'shop'
        """
        selection = Selection(
            folder=Path(folder) if folder is not None else None,
            modes=tuple(modes),
            files=tuple(Path(file).resolve() for file in files),
            overlays=tuple(overlays),
            gpu=gpu,
        )
        place = find(selection, lenient=True)
        place.modes.select(selection.modes, overlays=selection.overlays)
        return cls(selection, dry=dry, echo=echo)

    def context(
        self, *, need_engine: bool = True, read_only: bool = False
    ) -> StackContext:
        """Return what the operations work on, as it is now."""
        return open_stack(
            self.selection,
            need_engine=need_engine,
            read_only=read_only,
            dry=self.dry,
            echo=self.echo,
        )

    def _single(self, task: str) -> StackContext:
        """Return the stack for a task that acts on one engine alone."""
        return swarm.on_one_engine(self.context, task)

    @property
    def configuration(self) -> Config:
        """What the project's `compose-ops.toml` states, the defaults without one."""
        return find(self.selection, lenient=True).config

    def up(
        self,
        services: Iterable[str] = (),
        *,
        build: bool = False,
        timeout: int | None = None,
    ) -> None:
        """
        Start *services*, all when empty, and return when they are healthy.

        Raises UnhealthyError, with the evidence, when one does not get healthy within
        *timeout*, by default as long as its health check may take.

        >>> Stack.open().up(["web"], build=True)
        """
        stack = self.context()
        swarm.refuse_both(stack)
        if stack.mode.swarm:
            swarm.up(stack, services, build=build, timeout=timeout)
            return
        from compose_ops.stack import up

        up.up(stack, services, build=build, timeout=timeout)

    def down(self, *, volumes: bool = False, yes: bool = False) -> None:
        """
        Remove containers and networks; with *volumes* and *yes* the data too.

        >>> Stack.open().down()
        """
        from compose_ops.stack import down
        from compose_ops.swarm import down as swarm_down

        stack = self.context()
        if stack.mode.swarm:
            swarm_down.down(stack, volumes=volumes)
        else:
            down.down(stack, volumes=volumes, yes=yes)

    def restart(
        self, services: Iterable[str] = (), *, timeout: int | None = None
    ) -> None:
        """
        Restart what runs of *services*; UnhealthyError as for `up`.

        >>> Stack.open().restart(["web"])
        """
        from compose_ops.stack import restart

        restart.restart(self._single("restart"), services, timeout=timeout)

    def rebuild(
        self,
        services: Iterable[str] = (),
        *,
        cache: bool = False,
        timeout: int | None = None,
    ) -> None:
        """
        Build images, recreate what runs on them, wait; UnhealthyError as for `up`.

        >>> Stack.open().rebuild(["web"], cache=True)
        """
        from compose_ops.stack import rebuild

        rebuild.rebuild(
            self._single("rebuild"), tuple(services), cache=cache, timeout=timeout
        )

    def status(self) -> "Status":
        """
        Return what runs, its health, what it publishes and uses.

        >>> {c.health for c in Stack.open().status().containers}
        {'healthy'}
        """
        from compose_ops.stack import status

        stack = self.context()
        return swarm.status(stack) if stack.mode.swarm else status.services(stack)

    def nodes(self) -> "tuple[Node, ...]":
        """
        Return the machines of the Swarm, managers first.

        >>> [node.hostname for node in Stack.open().nodes() if not node.takes_tasks]
        []
        """
        from compose_ops.swarm import view

        return view.nodes(self.context(read_only=True))

    def recover(self) -> "tuple[Unfinished, ...]":
        """
        Undo what interrupted tasks left; return those tasks, none when all had ended.

        It may be run again after any interruption of itself. Raises what hinders the
        first that cannot be undone, after all were tried; Locked while a task works.

        >>> Stack.open().recover()  # doctest: +SKIP
        ()
        """
        from compose_ops.state import recovery

        with watched(self, "recover") as run:
            left = recovery.pending(run.stack)
            recovery.recover(run.stack)
            return left

    def stats(self, services: Iterable[str] = ()) -> "tuple[ContainerUsage, ...]":
        """Return what running containers use; UsageError when none of them runs."""
        from compose_ops.stack import status

        return status.usage(self._single("stats"), tuple(services))

    def logs(
        self, services: Iterable[str] = (), *, tail: int = 100, follow: bool = False
    ) -> None:
        """Print the last *tail* lines of services on stdout, secrets replaced."""
        from compose_ops.stack import logs
        from compose_ops.swarm import view

        stack = self.context()
        write = view.logs if stack.mode.swarm else logs.logs
        write(stack, services, tail=tail, follow=follow)

    def config(self) -> dict[str, Any]:
        """
        Return the merged compose model with secrets redacted; needs no engine.

        In a mode for Swarm it is the file that `docker stack deploy` takes; raises
        ConfigurationError for what Swarm has no equivalent for.
        """
        from compose_ops.stack import status
        from compose_ops.swarm import render

        stack = self.context(need_engine=False)
        if stack.mode.swarm:
            return render.printed(stack)
        return status.redacted_model(stack)

    def init(self) -> tuple[str, ...]:
        """
        Make `.env`, secrets and what mounts need; return what was done.

        In the mode that `init.production_mode` names, certificates and data folders
        too. A value that is there is never touched.
        """
        from compose_ops.backup import helper, passwords
        from compose_ops.stack import production, setup

        place, engine = find(self.selection), host_engine()
        config = place.config
        more = [
            *helper.missing(engine, config.backup.helper_base),
            *passwords.missing(engine, config, place.root),
        ]
        if config.init.production_mode in self.selection.modes:
            names = production.variables_of_folders(config)
            more += production.steps(engine, config, place.values(names))
        return setup.run(engine, place.root, config, dry=self.dry, more=more)

    def doctor(
        self,
        *,
        only: Sequence[str] = (),
        skip: Sequence[str] = (),
        accept: Sequence[str] = (),
        fix: bool = False,
    ) -> "Report":
        """
        Return what is wrong with machine, checkout and project, and what mends it.

        *accept* are words like ID=reason. Raises UsageError for an unknown check.

        >>> Stack.open().doctor(only=["engine-answers"]).counts()["fail"]
        0
        """
        from compose_ops.doctor import run

        def opening() -> StackContext:
            return self.context(read_only=True)

        return run.examine(opening, only=only, skipped=skip, accept=accept, fix=fix)

    def bundle(self, report: "Report", path: str | Path) -> "Bundle":
        """
        Return what describes the project and its engine now, with secrets redacted.

        Nothing is written before `Bundle.write`. Raises UsageError where *path* exists
        or cannot be written.

        >>> stack = Stack.open()
        >>> made = stack.bundle(stack.doctor(), "doctor.tar.gz")
        >>> sorted(made.sizes)[0], made.write()
        ('doctor.json', None)
        """
        from compose_ops.doctor import bundle

        return bundle.collect(self.context(read_only=True), report, Path(path))

    def lint(
        self, *, rules: Sequence[str] = (), files: Sequence[str | Path] = ()
    ) -> "tuple[Finding, ...]":
        """
        Return what the rules find in every combination of the project's files.

        *files* are judged together instead. Raises UsageError for an unknown rule.

        >>> [finding.rule for finding in Stack.open().lint()]
        []
        """
        from compose_ops.library.linting import lint

        report = lint(self.selection, rules=rules, files=files, echo=self.echo)
        return report.findings

    def gpu_check(self, service: str = "", *, require: bool = False) -> "GpuReport":
        """Return the checks of a service's GPU, from the driver to the container."""
        from compose_ops.gpu import report

        return report.check(self.context(read_only=True), service, require=require)

    def backup(
        self,
        services: Iterable[str] = (),
        *,
        all: bool = False,  # noqa: A002 - as the task's flag
        dest: sets.Dests = (),
        consistency: str = "",
        gzip: bool = False,
        encrypt: Sequence[str] = (),
        allow_undeclared: bool = False,
        new_destination: bool = False,
        keep: "Rules | None" = None,
    ) -> "Manifest | None":
        """
        Copy the data of *services*, or of all, to a verified set; None with `dry`.

        With *keep* the sets that no rule keeps are removed afterwards, as by `prune`.

        *dest* is the folder of the sets, a name or a repository, or several of them, by
        default those of `compose-ops.toml`. Raises DataError when a copy or its proof
        fails; no set is left then. With *all* writable mounts that nobody declares as
        data or as disposable are a DataError, too, unless *allow_undeclared* leaves
        them out; so is a folder that held sets and holds none, unless
        *new_destination* says that it begins anew.

        >>> Stack.open().backup(["db"]).stores[0].consistency
        'stop'
        """
        names = tuple(services)
        with watched(self, "backup") as run:
            run.is_at(services=names, dest=dest, every=True)
            made = sets.backup(
                run.stack,
                dest,
                services=names,
                everything=all,
                consistency=consistency,
                gzip=gzip,
                encrypt=encrypt,
                allow_undeclared=allow_undeclared,
                new_destination=new_destination,
            )
            run.report.set_id = made.id if made else ""
            if keep and not keep.keep_nothing:
                for one in sets.each(run.stack, dest):
                    sets.prune(run.stack, one, rules=keep, yes=True)
            return made

    def backups(
        self, *, dest: str | Path = "", project: str = ""
    ) -> "tuple[BackupSet, ...]":
        """Return the sets of the project, or of *project*, the newest first."""
        return sets.listed(self.context(), dest, project=project)

    def verify(
        self,
        set_id: str = "",
        *,
        dest: str | Path = "",
        project: str = "",
        identity: str = "",
    ) -> tuple[sets.Verification, ...]:
        """
        Read a set, or every set, to its end and compare every hash.

        *identity* is a file with the key of encrypted sets. A damaged set is named by
        `fault`, not raised.

        >>> [found.fault for found in Stack.open().verify()]
        ['']
        """
        with watched(self, "verify") as run:
            run.is_at(dest=dest)
            found = sets.verify(
                run.stack, dest, set_id=set_id, project=project, identity=identity
            )
            run.report.fault = refuse_faults(found)
            return found

    def restore(
        self,
        services: Iterable[str] = (),
        *,
        all: bool = False,  # noqa: A002 - as the task's flag
        set_id: str = "",
        at: datetime | None = None,
        dest: str | Path = "",
        from_project: str = "",
        identity: str = "",
        yes: bool = False,
    ) -> "Manifest | None":
        """
        Replace the data of *services*, or of all, by a set's; None with `dry`.

        Without *set_id* and *at* the newest verified set is taken. Raises DataError,
        with the previous data in place, when anything fails.

        >>> Stack.open().restore(["db"], yes=True).id
        '20261127-210000'
        """
        return sets.restore(
            self._single("restore"),
            dest,
            services=tuple(services),
            everything=all,
            set_id=set_id,
            at=at,
            from_project=from_project,
            identity=identity,
            yes=yes,
        )

    def copy(self, dest: str, *, source: str = "") -> "Copied":
        """
        Send the sets that the repository *dest* lacks to it, from one here.

        Data that is there is not sent again. Raises DataError when it is cut; a second
        run goes on.

        >>> Stack.open().copy("offsite").copied  # doctest: +SKIP
        ('20261128T012315Z-0001',)
        """
        return sets.copy(self.context(), dest, source=source)

    def trust_host(self, host: str, *, fingerprint: str = "") -> "HostKeys":
        """
        Keep the host keys of a server behind `sftp:` that have *fingerprint*.

        *host* may be the name of a destination. At a terminal somebody is asked where
        no fingerprint is given. Raises UsageError where none was confirmed, DataError
        where the server has no such key.

        >>> Stack.open().trust_host("backups.example").is_known  # doctest: +SKIP
        True
        """
        from compose_ops.backup import host_keys

        return host_keys.trust(self.context(), host, fingerprint=fingerprint)

    def rotate_password(self, name: str) -> tuple[str, ...]:
        """
        Give the repository *name* another password; return which have it now.

        Raises DataError where one of them cannot be changed; a second run goes on.

        >>> Stack.open().rotate_password("offsite")  # doctest: +SKIP
        ('offsite',)
        """
        from compose_ops.backup import rotation

        return rotation.rotate(self.context(), name)

    def undo_restore(self, services: Iterable[str] = (), *, yes: bool = False) -> str:
        """Bring back the data from before the last restore; return its id."""
        from compose_ops.backup import restore_undo

        return restore_undo.undo(
            self._single("restore --undo"), tuple(services), yes=yes
        )

    def discard_restore(
        self, services: Iterable[str] = (), *, yes: bool = False
    ) -> tuple[str, ...]:
        """Remove the data from before restores for good; return whose."""
        from compose_ops.backup import restore_undo

        found = restore_undo.discard(
            self._single("restore --discard"), tuple(services), yes=yes
        )
        return tuple(found)

    def drill(
        self, set_id: str = "", *, dest: str | Path = "", identity: str = ""
    ) -> "DrillResult":
        """Restore a set into scratch volumes, boot it, remove everything."""
        with watched(self, "drill") as run:
            run.is_at(dest=dest)
            found = sets.drill(run.stack, dest, set_id=set_id, identity=identity)
            run.report.set_id = found.set_id
            return found

    def prune(
        self, rules: "Rules", *, dest: str | Path = "", yes: bool = False
    ) -> sets.PruneResult:
        """
        Remove the sets that no rule keeps; the newest verified one always stays.

        >>> from compose_ops.backup.retention import Rules
        >>> Stack.open().prune(Rules(last=7), yes=True).removed
        ()
        """
        with watched(self, "prune") as run:
            run.is_at(dest=dest)
            return sets.prune(run.stack, dest, rules=rules, yes=yes)

    def rolling_update(
        self,
        service: str,
        *,
        image: str = "",
        build: bool = False,
        timeout: int | None = None,
        restore_point: str = "",
        no_restore_point: bool = False,
    ) -> "UpdateResult":
        """
        Replace a service's replicas as `update_config` says, without losing a request.

        A store's data is copied before the new version starts, unless *restore_point*
        names a proven set or *no_restore_point* does without. Raises RolledBack when
        the update failed and was undone, DataError where no copy can be made.

        >>> Stack.open().rolling_update("web", image="shop-web:2").result
        'updated'
        """
        from compose_ops.rollout.update import UpdateRequest, update

        request = UpdateRequest(
            image=image,
            build=build,
            restore_point=restore_point,
            no_restore_point=no_restore_point,
        )
        return update(self._single("rolling-update"), service, request, timeout=timeout)

    def gateway(self, *, write: bool = False) -> "GatewayFile":
        """
        Return the compose file with the gateways that `[rollout]` asks for.

        With *write* it is written beside the compose files, where it can be changed and
        named as another of them. Raises UsageError where none is asked for.

        >>> Stack.open().gateway().text.splitlines()[2]
        'services:'
        """
        from compose_ops.library.gateway import gateway_file

        return gateway_file(self.selection, write=write and not self.dry)

    def update_all(self, *, timeout: int | None = None) -> "Iterator[UpdateResult]":
        """
        Update each service that runs, in dependency order, as the iterator is read.

        The first that fails raises what `rolling_update` raises; the rest is not begun.

        >>> [result.service for result in Stack.open().update_all()]
        ['db', 'web']
        """
        from compose_ops.rollout.update_all import update_all

        return update_all(self._single("rolling-update --all"), timeout=timeout)

    def rollback(self, service: str, *, timeout: int | None = None) -> "UpdateResult":
        """Go back to the image before the last update; RolledBack as for an update."""
        from compose_ops.rollout import rollback

        return rollback.rollback(self._single("rollback"), service, timeout=timeout)

    def destination(self, dest: str | Path = "") -> "Place":
        """Return where sets lie; a relative *dest* is the project's."""
        return sets.destination(find(self.selection), dest)

    def scheduling(
        self, *, program: str = "compose-ops", only: Sequence[str] = ()
    ) -> Scheduling:
        """
        Return what the project runs by itself, the jobs of *only* or all.

        *program* is what runs them: compose-ops, or invoke with a `tasks.py`. Raises
        ConfigurationError for a wrong `[schedule]`, UsageError for another user's.

        >>> print(Stack.open().scheduling().render())
        """
        return Scheduling.of(self, program=program, only=only)

    def in_modes(self, *modes: str) -> "Stack":
        """Return the same project in other modes."""
        return replace(self, selection=replace(self.selection, modes=modes))
