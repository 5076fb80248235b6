"""Every task of the stack; what a task does lives in compose_ops."""

from functools import partial

from invoke.collection import Collection
from invoke.context import Context

from compose_ops.cli.task import Selection, emit, stack, task

Names = list[str] | None
DEST = "Where the sets lie. Default: backups."


@task
def up(
    c: Context,
    mode: Selection,
    *,
    service: Names = None,
    build: bool = False,
    timeout: int = 0,
) -> None:
    """Start the stack and wait until all of it is healthy."""
    from compose_ops.stack import lifecycle

    opened = stack(c, mode)
    lifecycle.up(opened, service or (), build=build, timeout=timeout or None)


@task(volumes="The volumes too: asks for the project's name.")
def down(c: Context, *, volumes: bool = False, yes: bool = False) -> None:
    """Remove containers and networks; the data stays."""
    from compose_ops.stack import lifecycle

    lifecycle.down(stack(c), volumes=volumes, yes=yes)


@task
def restart(c: Context, *, service: Names = None, timeout: int = 0) -> None:
    """Restart what runs and wait until it is healthy again."""
    from compose_ops.stack import lifecycle

    lifecycle.restart(stack(c), service or (), timeout=timeout or None)


@task(cache="Keep the layers that are there. Default: build without the cache.")
def rebuild(
    c: Context, *, service: Names = None, cache: bool = False, timeout: int = 0
) -> None:
    """Build images anew, recreate what runs on them, wait for health."""
    from compose_ops.stack import lifecycle

    lifecycle.rebuild(stack(c), service or (), cache=cache, timeout=timeout or None)


@task
def status(c: Context, *, json: bool = False) -> None:
    """Show services, their health, what they publish and use."""
    from compose_ops.stack import status as look

    found = look.services(stack(c))
    (emit if json else look.print_services)(found)


@task
def stats(c: Context, *, service: Names = None, json: bool = False) -> None:
    """Show the CPU and memory that containers use."""
    from compose_ops.stack import status as look

    found = look.usage(stack(c), service or ())
    (emit if json else look.print_usage)(found)


@task(tail="Only the last lines of each. Default: 100.", follow="Go on until Ctrl-C.")
def logs(
    c: Context, *, service: Names = None, tail: int = 100, follow: bool = False
) -> None:
    """Show what services wrote."""
    from compose_ops.stack import lifecycle

    lifecycle.logs(stack(c), service or (), tail=tail, follow=follow)


@task
def config(c: Context, mode: Selection, *, json: bool = False) -> None:
    """Show the merged compose model, secrets redacted."""
    from compose_ops.stack import status as look

    opened = stack(c, mode, need_engine=False)
    (emit if json else look.print_model)(look.redacted_model(opened))


@task(prod="Certificates of a trial authority and the databases' folders too.")
def init(c: Context, *, prod: bool = False) -> None:
    """Make .env, secrets and what mounts need; never touch a value that is there."""
    from compose_ops.backup import helper
    from compose_ops.runtime.context import host_engine
    from compose_ops.stack import production, setup

    engine = host_engine()
    more = [*helper.missing(engine), *(production.steps(engine) if prod else ())]
    setup.run(engine, dry=bool(c.config.run.dry), more=more)


@task(
    service="The service to update.",
    image="Deploy this image; later tasks keep it.",
    build="Build the image first, and deploy what the compose files name.",
    timeout="Seconds for a new replica to become healthy. Default: as its check says.",
)
def rolling_update(
    c: Context,
    *,
    service: Names = None,
    image: str = "",
    build: bool = False,
    timeout: int = 0,
    json: bool = False,
) -> None:
    """Replace a service's containers without losing a request, or put them back."""
    from compose_ops.cli.output import rollout
    from compose_ops.rollout.update import UpdateRequest, update

    name, wish = rollout.one(service), UpdateRequest(image=image, build=build)
    opened = stack(c)
    rollout.run(
        lambda: update(opened, name, wish, timeout=timeout or None),
        name,
        emit if json else None,
    )


@task(service="The service to take back.")
def rollback(
    c: Context, *, service: Names = None, timeout: int = 0, json: bool = False
) -> None:
    """Go back to the image that served before the last update."""
    from compose_ops.cli.output import rollout
    from compose_ops.rollout.rollback import rollback as go_back

    name, opened = rollout.one(service), stack(c)
    rollout.run(
        lambda: go_back(opened, name, timeout=timeout or None),
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
)
def doctor(
    c: Context,
    mode: Selection,
    *,
    only: Names = None,
    skip: Names = None,
    accept: Names = None,
    fix: bool = False,
    strict: bool = False,
    verbose: bool = False,
    json: bool = False,
) -> None:
    """Find what is wrong with machine, checkout and stack, and what mends it."""
    from compose_ops.doctor import run as look

    opening = partial(stack, c, mode, read_only=True)
    report = look.examine(
        opening, only=only or (), skipped=skip or (), accept=accept or (), fix=fix
    )
    if json:
        emit(report.as_json())
    else:
        look.print_report(report, everything=verbose)
    look.refuse(report, strict=strict)


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
    from compose_ops.lint import command
    from compose_ops.lint.settings import LintSettings
    from compose_ops.runtime.context import docker_client

    own = not file
    settings = LintSettings(
        fail_on="warning" if own else "error", start_timeout=300.0 if own else 0.0
    )
    command.lint(
        docker_client(echo=bool(c.config.run.echo)),
        command.LintRequest(
            rules=tuple(rule or ()),
            files=tuple(file or ()),
            fail_on=fail_on,
            format="json" if json else format,
            explain=explain,
            baseline=baseline,
            update_baseline=update_baseline,
            ask_images=ask_images,
        ),
        settings,
        show=lambda text: print(text, end=""),  # noqa: T201 - the result
    )


@task(
    service="Whose image and container. Default: ray-head.",
    require="No GPU is a failure.",
)
def gpu_check(
    c: Context,
    *,
    service: str = "ray-head",
    require: bool = False,
    gpu: str = "auto",
    overlay: Names = None,
    json: bool = False,
) -> None:
    """Check the GPU rung by rung, from the driver to the running container."""
    from compose_ops.gpu import report

    opened = stack(c, Selection(gpu=gpu, overlay=overlay), read_only=True)
    rows = report.check(opened, service, require=require)
    if json:
        emit(report.as_json(rows, service))
    else:
        report.print_rows(rows)
    report.refuse(rows)


@task(
    all="Every service with data, as one coherent set.",
    dest=DEST,
    consistency="native, stop or crash. Default: the best that the service supports.",
    gzip="Write .tar.gz instead of .tar.zst.",
    encrypt="An age or ssh recipient, or a file of them; repeatable.",
)
def backup(
    c: Context,
    *,
    service: Names = None,
    all: bool = False,  # noqa: A002 - the flag is named so
    dest: str = "backups",
    consistency: str = "",
    gzip: bool = False,
    encrypt: Names = None,
    json: bool = False,
) -> None:
    """Keep the data of services as a verified set."""
    from compose_ops.cli.output import backup as command

    how = {"consistency": consistency, "gzip": gzip, "encrypt": encrypt or ()}
    made = command.backup(stack(c), dest, services=service or (), everything=all, **how)
    (emit if json else command.print_backup)(made)


@task(dest=DEST, project="Another project's sets.")
def backups(
    c: Context, *, dest: str = "backups", project: str = "", json: bool = False
) -> None:
    """List the sets: what they hold, how proven they are."""
    from compose_ops.cli.output import backup as command

    found = command.backups(stack(c), dest, project=project)
    (emit if json else command.print_backups)(found)


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
    dest: str = "backups",
    project: str = "",
    identity: str = "",
    json: bool = False,
) -> None:
    """Read sets to their end and compare every hash."""
    from compose_ops.cli.output import backup as command

    found = command.verify(
        stack(c), dest, set_id=set, project=project, identity=identity
    )
    (emit if json else command.print_verified)(found)
    command.refuse_damaged(found)


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
    mode: Selection,
    *,
    service: Names = None,
    all: bool = False,  # noqa: A002 - the flag is named so
    set: str = "",  # noqa: A002 - the flag is named so
    at: str = "",
    dest: str = "backups",
    from_project: str = "",
    identity: str = "",
    undo: bool = False,
    discard: bool = False,
    yes: bool = False,
    json: bool = False,
) -> None:
    """Bring a set's data back; what is there now can be brought back again."""
    from compose_ops.cli.output import backup as command

    which = {"set_id": set, "from_project": from_project, "identity": identity}
    found = command.restore(
        stack(c, mode),
        dest,
        at=at,
        undo=undo,
        discard=discard,
        services=service or (),
        everything=all,
        yes=yes,
        **which,
    )
    (emit if json else command.print_restored)(found)


@task(
    dest=DEST,
    keep_last="The newest so many.",
    keep_daily="The last of each day, for so many days.",
    keep_weekly="The last of each week, for so many weeks.",
    keep_monthly="The last of each month, for so many months.",
)
def prune(
    c: Context,
    *,
    keep_last: int = 0,
    keep_daily: int = 0,
    keep_weekly: int = 0,
    keep_monthly: int = 0,
    dest: str = "backups",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Remove the sets that no rule keeps; the newest verified one always stays."""
    from compose_ops.backup.retention import Rules
    from compose_ops.cli.output import backup as command

    rules = Rules(keep_last, keep_daily, keep_weekly, keep_monthly)
    found = command.prune(stack(c), dest, rules=rules, yes=yes)
    (emit if json else command.print_pruned)(found)


@task(
    dest=DEST,
    set="This set. Default: the newest verified one.",
    identity="A file with the age or ssh key that opens an encrypted set.",
)
def drill(
    c: Context,
    *,
    set: str = "",  # noqa: A002 - the flag is named so
    dest: str = "backups",
    identity: str = "",
    json: bool = False,
) -> None:
    """Restore a set into scratch volumes, boot its stores on it, compare counts."""
    from compose_ops.cli.output import backup as command

    found = command.drill(stack(c), dest, set_id=set, identity=identity)
    (emit if json else command.print_drill)(found)


ns = Collection(
    *(up, down, restart, rebuild, status, stats, logs, config, init),
    *(rolling_update, rollback, doctor, gpu_check, lint),
    *(backup, backups, verify, restore, drill, prune),
)
