"""Every task of the stack; what a task does lives in jimbot_stack."""

from functools import partial

from invoke.collection import Collection
from invoke.context import Context

from jimbot_stack.cli import emit, stack, task

Names = list[str] | None


@task
def up(
    c: Context,
    *,
    service: Names = None,
    dev: bool = False,
    prod: bool = False,
    offline: bool = False,
    gpu: str = "auto",
    overlay: Names = None,
    build: bool = False,
    timeout: int = 0,
) -> None:
    """Start the stack and wait until all of it is healthy."""
    from jimbot_stack import lifecycle

    mode = {"dev": dev, "prod": prod, "offline": offline, "gpu": gpu}
    opened = stack(c, overlay=overlay or (), **mode)
    lifecycle.up(opened, service or (), build=build, timeout=timeout or None)


@task(volumes="The volumes too: asks for the project's name.")
def down(c: Context, *, volumes: bool = False, yes: bool = False) -> None:
    """Remove containers and networks; the data stays."""
    from jimbot_stack import lifecycle

    lifecycle.down(stack(c), volumes=volumes, yes=yes)


@task
def restart(c: Context, *, service: Names = None, timeout: int = 0) -> None:
    """Restart what runs and wait until it is healthy again."""
    from jimbot_stack import lifecycle

    lifecycle.restart(stack(c), service or (), timeout=timeout or None)


@task(cache="Keep the layers that are there. Default: build without the cache.")
def rebuild(
    c: Context, *, service: Names = None, cache: bool = False, timeout: int = 0
) -> None:
    """Build images anew, recreate what runs on them, wait for health."""
    from jimbot_stack import lifecycle

    lifecycle.rebuild(stack(c), service or (), cache=cache, timeout=timeout or None)


@task
def status(c: Context, *, json: bool = False) -> None:
    """Show services, their health, what they publish and use."""
    from jimbot_stack import status as look

    found = look.services(stack(c))
    (emit if json else look.print_services)(found)


@task
def stats(c: Context, *, service: Names = None, json: bool = False) -> None:
    """Show the CPU and memory that containers use."""
    from jimbot_stack import status as look

    found = look.usage(stack(c), service or ())
    (emit if json else look.print_usage)(found)


@task(tail="Only the last lines of each. Default: 100.", follow="Go on until Ctrl-C.")
def logs(
    c: Context, *, service: Names = None, tail: int = 100, follow: bool = False
) -> None:
    """Show what services wrote."""
    from jimbot_stack import lifecycle

    lifecycle.logs(stack(c), service or (), tail=tail, follow=follow)


@task
def config(
    c: Context,
    *,
    dev: bool = False,
    prod: bool = False,
    offline: bool = False,
    gpu: str = "auto",
    overlay: Names = None,
    json: bool = False,
) -> None:
    """Show the merged compose model, secrets redacted."""
    from jimbot_stack import status as look

    mode = {"dev": dev, "prod": prod, "offline": offline, "gpu": gpu}
    opened = stack(c, overlay=overlay or (), need_engine=False, **mode)
    (emit if json else look.print_model)(look.redacted_model(opened))


@task(prod="Certificates of a trial authority and the databases' folders too.")
def init(c: Context, *, prod: bool = False) -> None:
    """Make .env, secrets and what mounts need; never touch a value that is there."""
    from jimbot_stack import initialise, production
    from jimbot_stack.stack import host_engine

    engine = host_engine()
    more = production.steps(engine) if prod else ()
    initialise.run(engine, dry=bool(c.config.run.dry), more=more)


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
    from jimbot_stack.rollout import command
    from jimbot_stack.rollout.update import Wish, update

    name, wish = command.one(service), Wish(image=image, build=build)
    opened = stack(c)
    command.run(
        lambda: update(opened, name, wish, timeout=timeout or None),
        name,
        emit if json else None,
    )


@task(service="The service to take back.")
def rollback(
    c: Context, *, service: Names = None, timeout: int = 0, json: bool = False
) -> None:
    """Go back to the image that served before the last update."""
    from jimbot_stack.rollout import command
    from jimbot_stack.rollout.rollback import rollback as go_back

    name, opened = command.one(service), stack(c)
    command.run(
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
    *,
    only: Names = None,
    skip: Names = None,
    accept: Names = None,
    fix: bool = False,
    strict: bool = False,
    verbose: bool = False,
    dev: bool = False,
    prod: bool = False,
    offline: bool = False,
    gpu: str = "auto",
    overlay: Names = None,
    json: bool = False,
) -> None:
    """Find what is wrong with machine, checkout and stack, and what mends it."""
    from jimbot_stack import doctor as look

    mode = {"dev": dev, "prod": prod, "offline": offline, "gpu": gpu}
    opening = partial(stack, c, overlay=overlay or (), need_engine=False, **mode)
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
)
def lint(
    c: Context, *, rule: Names = None, file: Names = None, json: bool = False
) -> None:
    """Find what breaks stacks in every combination of compose files."""
    from jimbot_stack import lint as look
    from jimbot_stack.stack import docker_client

    client = docker_client(echo=bool(c.config.run.echo))
    found = look.judge(client, files=file or (), only=rule or ())
    if json:
        emit(look.as_json(found))
    else:
        look.print_findings(found)
    look.refuse(found)


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
    from jimbot_stack.gpu import report

    opened = stack(c, gpu=gpu, overlay=overlay or ())
    rows = report.check(opened, service, require=require)
    if json:
        emit(report.as_json(rows, service))
    else:
        report.print_rows(rows)
    report.refuse(rows)


ns = Collection(
    *(up, down, restart, rebuild, status, stats, logs, config, init),
    *(rolling_update, rollback, doctor, gpu_check, lint),
)
