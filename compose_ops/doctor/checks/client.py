"""The docker client of this user: a builder that sees local images, its helpers."""

from collections.abc import Iterator

from compose_ops.doctor.facts.client import HELPER, Builder, ClientConfig
from compose_ops.doctor.registry import check
from compose_ops.project.model import Model
from compose_ops.verdicts import Verdict, command, fail, listed, ok, warn

LOCAL_DRIVER = "docker"

REMOVE_KEY = (
    "import json, pathlib, sys; p = pathlib.Path(sys.argv[1]); "
    "d = json.loads(p.read_text()); d.pop('credsStore', None); "
    "d['credHelpers'] = {r: h for r, h in (d.get('credHelpers') or {}).items() "
    "if h not in sys.argv[2:]}; p.write_text(json.dumps(d, indent=2))"
)
REMOVE_HELPER = REMOVE_KEY.replace("d.pop('credsStore', None); ", "")


@check(
    "builder",
    "Builds run in the engine, with the images that it has.",
    why="A builder in a container of its own does not see this engine's images: a "
    "build on a local base fails.",
)
def builder_local(
    model: Model, wanted: tuple[str, ...], builder: Builder
) -> Iterator[Verdict]:
    repair = "docker buildx use default"
    if builder.from_variable:
        repair = "unset BUILDX_BUILDER"
    if not any(model.service(name).get("build") for name in wanted):
        yield ok("no service is built here")
    elif builder.problem:
        detail = f"the selected builder cannot be used: {builder.problem}"
        yield fail(detail, repair, about="unusable")
    elif builder.driver != LOCAL_DRIVER:
        yield warn(
            f"the default builder {builder.name} uses the driver {builder.driver}: "
            "builds do not see the engine's own images",
            repair,
            about=f"{builder.name} {builder.driver}",
        )
    else:
        yield ok(f"builds run in the engine (builder {builder.name})")


@check(
    "credential-helpers",
    "The credential helpers that the docker client is told to use are installed.",
    why="Without its helper `docker compose pull` fails, also for public images, and "
    "so do builds from a registry that asks for credentials.",
)
def credential_helpers(client_config: ClientConfig) -> Iterator[Verdict]:
    if client_config.problem:
        yield fail(
            f"{client_config.path} cannot be read: {client_config.problem}",
            command("mv", client_config.path, f"{client_config.path}.damaged"),
            about="unreadable",
        )
        return
    for registry, name in sorted(client_config.helpers.items()):
        if name not in client_config.missing:
            continue
        program = f"{HELPER}{name}"
        detail = f"{client_config.path} names {program}, which is not installed"
        if registry:
            yield warn(
                f"{detail}: pulls from {registry} fail",
                command("python3", "-c", REMOVE_HELPER, client_config.path, name),
                about=f"{registry} {name}",
            )
        else:
            yield fail(
                f"{detail}: docker compose pull fails",
                command("python3", "-c", REMOVE_KEY, client_config.path),
                about=f"credsStore {name}",
            )
    if not client_config.missing:
        names = sorted(set(client_config.helpers.values()))
        yield ok(f"credential helpers: {listed(names) or 'none'}")
