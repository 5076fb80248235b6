"""Every task: it reads its flags, calls the library once and prints the result."""

from typing import TYPE_CHECKING

from invoke.context import Context

from compose_ops import console
from compose_ops.cli.definition import ModeFlags, SelectionFlags, task
from compose_ops.cli.task import emit

if TYPE_CHECKING:
    from compose_ops.library.stack import Stack

Names = list[str] | None
DEST = "A folder, a NAME of compose-ops.toml, or restic:…. Default: all, or the first."

KEEP = {
    "keep_last": "Keep the newest so many.",
    "keep_daily": "Keep the last of each day, for so many days.",
    "keep_weekly": "Keep the last of each week, for so many weeks.",
    "keep_monthly": "Keep the last of each month, for so many months.",
}


def stack(c: Context, flags: ModeFlags | SelectionFlags | None = None) -> "Stack":
    """Return the project that the flags name; `--dry` and `--echo` are invoke's."""
    from compose_ops.library.stack import Stack

    run, chosen = c.config.run, flags or SelectionFlags()
    files = chosen if isinstance(chosen, SelectionFlags) else SelectionFlags()
    opened = Stack.open(
        modes=chosen.modes,
        overlays=files.overlay,
        gpu=files.gpu,
        dry=bool(run.dry),
        echo=bool(run.echo),
    )
    if command := opened.configuration.hints.install_engine:
        console.name_engine_command(command)
    return opened


@task
def up(
    c: Context,
    mode: SelectionFlags,
    *,
    service: Names = None,
    build: bool = False,
    timeout: int = 0,
) -> None:
    """Start the stack and wait until all of it is healthy."""
    stack(c, mode).up(service or (), build=build, timeout=timeout or None)


@task(volumes="The volumes too: asks for the project's name.")
def down(c: Context, *, volumes: bool = False, yes: bool = False) -> None:
    """Remove containers and networks; the data stays."""
    stack(c).down(volumes=volumes, yes=yes)


@task
def restart(c: Context, *, service: Names = None, timeout: int = 0) -> None:
    """Restart what runs and wait until it is healthy again."""
    stack(c).restart(service or (), timeout=timeout or None)


@task(cache="Keep the layers that are there. Default: build without the cache.")
def rebuild(
    c: Context, *, service: Names = None, cache: bool = False, timeout: int = 0
) -> None:
    """Build images anew, recreate what runs on them, wait for health."""
    stack(c).rebuild(service or (), cache=cache, timeout=timeout or None)


@task
def status(c: Context, *, json: bool = False) -> None:
    """Show services, their health, what they publish and use."""
    found = stack(c).status()
    from compose_ops.cli.output.stack import print_status

    emit(found.as_json()) if json else print_status(found)


@task
def nodes(c: Context, *, json: bool = False) -> None:
    """Show the machines of the Swarm: managers, states, labels, GPUs."""
    found = stack(c).nodes()
    from compose_ops.cli.output import stack as output

    emit(output.nodes_as_json(found)) if json else output.print_nodes(found)


@task(install="Let the machine run it after each boot, at the pace of [schedule] too.")
def recover(c: Context, *, install: bool = False, json: bool = False) -> None:
    """Put right what interrupted tasks left; quiet when nothing is left."""
    from compose_ops.cli.output import recovery as output
    from compose_ops.cli.output import schedule as scheduling

    if install:
        scheduling.install(stack(c), only=("recover",), json=json)
        return
    found = stack(c).recover()
    if json:
        emit(output.as_json(found))
    else:
        output.print_recovered(found)


@task(
    print="Only print the units, or the lines for cron.",
    status="Show the last and the next run of each job.",
    remove="Take the schedule away.",
    test="Send a trial message and ping every dead-man's switch.",
    at_boot="What cron runs after a boot: recover, then the jobs that were missed.",
)
def schedule(
    c: Context,
    *,
    print: bool = False,  # noqa: A002 - the flag is named so
    status: bool = False,
    remove: bool = False,
    test: bool = False,
    at_boot: bool = False,
    json: bool = False,
) -> None:
    """Let the machine run backup, verify, drill and recover by itself."""
    from compose_ops.cli.output import schedule as output

    asked = {"print": print, "status": status, "remove": remove, "test": test}
    output.run(stack(c), output.one_of(asked | {"at-boot": at_boot}), json=json)


@task
def stats(c: Context, *, service: Names = None, json: bool = False) -> None:
    """Show the CPU and memory that containers use."""
    found = stack(c).stats(service or ())
    from compose_ops.cli.output.stack import print_usage

    if json:
        emit({"containers": [entry.as_json() for entry in found]})
    else:
        print_usage(found)


@task(tail="Only the last lines of each. Default: 100.", follow="Go on until Ctrl-C.")
def logs(
    c: Context, *, service: Names = None, tail: int = 100, follow: bool = False
) -> None:
    """Show what services wrote."""
    stack(c).logs(service or (), tail=tail, follow=follow)


@task
def config(c: Context, mode: SelectionFlags, *, json: bool = False) -> None:
    """Show the merged compose model, secrets redacted."""
    model = stack(c, mode).config()
    from compose_ops.cli.output.stack import print_model

    emit(model) if json else print_model(model)


@task
def init(c: Context, mode: ModeFlags) -> None:
    """Make .env, secrets and what mounts need; never touch a value that is there."""
    stack(c, mode).init()


@task(
    service="The service to update.",
    all="Every service that runs, in dependency order, up to the first that fails.",
    image="Deploy this image; later tasks keep it.",
    build="Build the image first, and deploy what the compose files name.",
    timeout="Seconds for a new replica to become healthy. Default: as its check says.",
    restore_point="Of a store: bring back this proven set, not a copy, if it fails.",
    no_restore_point="Of a store: no copy of its data before the new version starts.",
    report="Write a page about the update, also about one that fails, to this .html.",
)
def rolling_update(
    c: Context,
    *,
    service: Names = None,
    all: bool = False,  # noqa: A002 - the flag is named so
    image: str = "",
    build: bool = False,
    timeout: int = 0,
    restore_point: str = "",
    no_restore_point: bool = False,
    report: str = "",
    json: bool = False,
) -> None:
    """Replace a service's containers without losing a request, or put them back."""
    from compose_ops.cli.output import rollout

    limit = timeout or None
    if all:
        rollout.refuse_with_all(service, image=image, build=build, report=report)
        rollout.run_all(stack(c).update_all(timeout=limit), emit if json else None)
        return
    name, opened = rollout.one(service), stack(c)
    rollout.run(
        lambda: opened.rolling_update(
            name,
            image=image,
            build=build,
            timeout=limit,
            restore_point=restore_point,
            no_restore_point=no_restore_point,
        ),
        name,
        emit if json else None,
        report=report,
    )


@task(write="Write it beside the compose files, to be one of them.")
def gateway(
    c: Context, mode: SelectionFlags, *, write: bool = False, json: bool = False
) -> None:
    """Show the compose file with the gateways that [rollout] asks for."""
    found = stack(c, mode).gateway(write=write)
    from compose_ops.cli.output.stack import print_gateway

    emit(found.as_json()) if json else print_gateway(found)


@task(service="The service to take back.")
def rollback(
    c: Context, *, service: Names = None, timeout: int = 0, json: bool = False
) -> None:
    """Go back to the image that served before the last update."""
    from compose_ops.cli.output import rollout

    name, opened = rollout.one(service), stack(c)
    rollout.run(
        lambda: opened.rollback(name, timeout=timeout or None),
        name,
        emit if json else None,
    )


@task(
    only="Only this check; repeatable.",
    skip="Leave this check out; repeatable.",
    accept="ID=reason: accept what that check finds now; repeatable.",
    fix="Run the repairs that lose and stop nothing.",
    strict="Exit 10 when a check warns.",
    verbose="Also what is well.",
    bundle="Write what explains a failure, redacted, to this new tar.gz.",
)
def doctor(
    c: Context,
    mode: SelectionFlags,
    *,
    only: Names = None,
    skip: Names = None,
    accept: Names = None,
    fix: bool = False,
    strict: bool = False,
    verbose: bool = False,
    bundle: str = "",
    json: bool = False,
) -> None:
    """Find what is wrong with machine, checkout and stack, and name the repair."""
    from compose_ops.cli.output import doctor as output

    opened = stack(c, mode)
    output.check_bundle(bundle)
    report = opened.doctor(
        only=only or (), skip=skip or (), accept=accept or (), fix=fix
    )
    output.write_bundle(opened, report, bundle)
    output.finish(
        report, everything=verbose, strict=strict, emit=emit if json else None
    )


@task(
    rule="Only this rule; repeatable. docs/rules.md lists them.",
    file="Judge these compose files together instead of the project's; repeatable.",
    fail_on="Mildest severity that fails: error, warning, note, never. Default: error.",
    format="text, json, sarif or github (annotations). Default: text.",
    explain="Say what this rule finds, why, and how to repair it.",
    baseline="Only findings count that are not in this file.",
    update_baseline="Write the findings of now into the baseline.",
    ask_images="Start a container of each local image to see which programs it holds.",
)
def lint(
    c: Context,
    *,
    rule: Names = None,
    file: Names = None,
    fail_on: str = "",
    format: str = "text",  # noqa: A002 - the flag's name
    explain: str = "",
    baseline: str = "",
    update_baseline: bool = False,
    ask_images: bool = False,
    json: bool = False,
) -> None:
    """Find what breaks stacks in every combination of compose files."""
    from functools import partial

    from compose_ops.library.linting import lint as judge
    from compose_ops.lint import command

    judging = partial(
        judge,
        rules=rule or (),
        files=file or (),
        echo=bool(c.config.run.echo),
        ask=ask_images,
    )
    request = command.LintRequest(
        fail_on=fail_on,
        format="json" if json else format,
        explain=explain,
        baseline=baseline,
        update_baseline=update_baseline,
    )
    command.lint(
        lambda change: judging(change=change),
        request,
        show=console.write_json if request.is_json else console.write,
    )


@task(
    service="Whose image and container. Default: gpu.service of compose-ops.toml.",
    require="No GPU is a failure.",
)
def gpu_check(
    c: Context,
    *,
    service: str = "",
    require: bool = False,
    gpu: str = "auto",
    overlay: Names = None,
    json: bool = False,
) -> None:
    """Check the GPU step by step, from the driver to the running container."""
    from compose_ops.cli.output import gpu as output

    chosen = SelectionFlags(gpu=gpu, overlay=tuple(overlay or ()))
    found = stack(c, chosen).gpu_check(service, require=require)
    if json:
        emit(found.as_json())
    else:
        output.print_rows(found.rows)
    output.refuse(found.rows)


@task(
    all="Every service with data, as one coherent set.",
    dest=DEST,
    consistency="native, stop or crash. Default: the best that the service supports.",
    gzip="Write .tar.gz instead of .tar.zst.",
    encrypt="An age or ssh recipient, or a file of them; repeatable.",
    allow_undeclared="With --all, leave out what nobody says is data or disposable.",
    new_destination="Take a folder that held sets and holds none.",
    **KEEP,
)
def backup(
    c: Context,
    *,
    service: Names = None,
    all: bool = False,  # noqa: A002 - the flag is named so
    dest: Names = None,
    consistency: str = "",
    gzip: bool = False,
    encrypt: Names = None,
    allow_undeclared: bool = False,
    new_destination: bool = False,
    keep_last: int = 0,
    keep_daily: int = 0,
    keep_weekly: int = 0,
    keep_monthly: int = 0,
    json: bool = False,
) -> None:
    """Keep the data of services as a set; prune with --keep-… afterwards."""
    from compose_ops.backup.retention import Rules
    from compose_ops.cli.output import backup as output

    opened = stack(c)
    made = opened.backup(
        service or (),
        all=all,
        dest=dest or (),
        consistency=consistency,
        gzip=gzip,
        encrypt=encrypt or (),
        allow_undeclared=allow_undeclared,
        new_destination=new_destination,
        keep=Rules(keep_last, keep_daily, keep_weekly, keep_monthly),
    )
    if json:
        first = opened.destination(dest[0] if dest else "")
        emit(made and output.set_as_json(made, first))
    else:
        output.print_backup(made)


@task(
    dest="The repository that is filled: a NAME of compose-ops.toml, or restic:….",
    source="The repository here that has the sets. Default: the first one.",
)
def copy(c: Context, *, dest: str = "", source: str = "", json: bool = False) -> None:
    """Send the sets that a repository lacks to it."""
    from compose_ops.cli.output import backup as output

    output.print_copied(stack(c).copy(dest, source=source), json=json)


@task(
    trust="Show the host keys of a server behind sftp:, and keep what is confirmed.",
    rotate="Give the repository of this name another password.",
    fingerprint="For --trust: keep the key that has this one, and ask nobody.",
)
def destination(
    c: Context,
    *,
    trust: str = "",
    rotate: str = "",
    fingerprint: str = "",
    json: bool = False,
) -> None:
    """Trust the server of a repository, or change its password."""
    from compose_ops.cli.output import destinations as output

    output.run(stack(c), trust, rotate, fingerprint=fingerprint, json=json)


@task(dest=DEST, project="Another project's sets.")
def backups(
    c: Context, *, dest: str = "", project: str = "", json: bool = False
) -> None:
    """List the sets: what they hold, how proven they are."""
    from compose_ops.cli.output import backup as output

    opened = stack(c)
    found, place = opened.backups(dest=dest, project=project), opened.destination(dest)
    if json:
        emit(output.sets_as_json(place, found))
    else:
        output.print_sets(place, found)


@task(
    dest=DEST,
    project="Another project's sets.",
    output="The page to write. Default: report.html in the current folder.",
)
def report(
    c: Context, *, dest: str = "", project: str = "", output: str = "report.html"
) -> None:
    """Write a page about the sets: size, downtime, verified and proven, over time."""
    from compose_ops.cli.output import backup as pages

    pages.write_report(stack(c), dest=dest, project=project, file=output)


@task(
    dest=DEST,
    set="Only this set. Default: all.",
    project="Another project's sets.",
    identity="A file with the age or ssh key that opens encrypted sets.",
)
def verify(
    c: Context,
    *,
    set: str = "",  # noqa: A002 - the flag is named so
    dest: str = "",
    project: str = "",
    identity: str = "",
    json: bool = False,
) -> None:
    """Read sets to their end and compare every hash."""
    from compose_ops.cli.output import backup as output

    found = stack(c).verify(set, dest=dest, project=project, identity=identity)
    if json:
        emit(output.verified_as_json(found))
    else:
        output.print_verified(found)
    output.refuse_damaged(found)


@task(
    all="Every service of the set, as one.",
    set="This set. Default: the newest verified one.",
    at="The newest that is not younger than this time, such as 2026-11-23 15:00.",
    dest=DEST,
    from_project="A set of another project.",
    identity="A file with the age or ssh key that opens an encrypted set.",
    undo="Bring back the data from before the last restore.",
    discard="Remove for good the data from before restores.",
)
def restore(
    c: Context,
    mode: SelectionFlags,
    *,
    service: Names = None,
    all: bool = False,  # noqa: A002 - the flag is named so
    set: str = "",  # noqa: A002 - the flag is named so
    at: str = "",
    dest: str = "",
    from_project: str = "",
    identity: str = "",
    undo: bool = False,
    discard: bool = False,
    yes: bool = False,
    json: bool = False,
) -> None:
    """Bring a set's data back; what is there now can be brought back again."""
    from compose_ops.cli.output import backup as output

    opened, names = stack(c, mode), service or ()
    if output.one_way_back(undo=undo, discard=discard):
        output.print_way_back(opened, names, undo=undo, yes=yes, json=json)
        return
    made = opened.restore(
        names,
        all=all,
        set_id=set,
        at=output.point_in_time(at),
        dest=dest,
        from_project=from_project,
        identity=identity,
        yes=yes,
    )
    output.print_restored(made, opened.destination(dest), json=json)


@task(dest=DEST, **KEEP)
def prune(
    c: Context,
    *,
    keep_last: int = 0,
    keep_daily: int = 0,
    keep_weekly: int = 0,
    keep_monthly: int = 0,
    dest: str = "",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Remove the sets that no rule keeps; the newest verified one always stays."""
    from compose_ops.backup.retention import Rules
    from compose_ops.cli.output import backup as output

    rules = Rules(keep_last, keep_daily, keep_weekly, keep_monthly)
    found = stack(c).prune(rules, dest=dest, yes=yes)
    if json:
        emit({"kept": dict(found.kept), "removed": list(found.removed)})
    else:
        output.print_pruned(found)


@task(
    dest=DEST,
    set="This set. Default: the newest verified one.",
    identity="A file with the age or ssh key that opens an encrypted set.",
)
def drill(
    c: Context,
    *,
    set: str = "",  # noqa: A002 - the flag is named so
    dest: str = "",
    identity: str = "",
    json: bool = False,
) -> None:
    """Restore a set into scratch volumes, boot its stores on it, compare counts."""
    from compose_ops.cli.output import backup as output

    found = stack(c).drill(set, dest=dest, identity=identity)
    if json:
        emit(output.drill_as_json(found))
    else:
        output.print_drill(found)
