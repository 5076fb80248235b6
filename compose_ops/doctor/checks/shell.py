"""Variables of the shell that change what Docker and Compose do."""

from collections.abc import Iterator, Mapping

from compose_ops.doctor.facts.settings import Settings
from compose_ops.doctor.registry import check
from compose_ops.project.paths import ENV_FILE
from compose_ops.verdicts import Verdict, fail, ok, warn

STRAY = {
    "COMPOSE_FILE": "it names other files than compose-ops.toml or the folder",
    "COMPOSE_PROFILES": "it adds services to the model",
    "COMPOSE_ENV_FILES": "it names other values than those of .env",
    "COMPOSE_PATH_SEPARATOR": "it changes how file lists are read",
    "COMPOSE_IGNORE_ORPHANS": "containers of removed services stay",
    "COMPOSE_REMOVE_ORPHANS": "containers of other modes are removed",
    "COMPOSE_CONVERT_WINDOWS_PATHS": "it rewrites the paths of binds",
    "DOCKER_DEFAULT_PLATFORM": "images are built and pulled for another machine",
    "DOCKER_API_VERSION": "the client speaks an older API: start_interval is lost",
    "DOCKER_CONTENT_TRUST": "images without a signature are refused",
    "DOCKER_TLS_VERIFY": "the client wants TLS from the engine",
    "DOCKER_CERT_PATH": "the client wants TLS from the engine",
    "DOCKER_CONTEXT": "another engine than the default one is asked",
}
"""Variables and their effect; DOCKER_HOST is judged with the engine."""

HARMLESS = {("DOCKER_CONTEXT", "default")}

FALSE = frozenset({"0", "f", "false", "n", "no"})
TRUE = frozenset({"1", "t", "true", "y", "yes"})
FATAL = {
    "DOCKER_BUILDKIT": (FALSE, "the old builder knows no named contexts: builds fail"),
    "COMPOSE_DISABLE_ENV_FILE": (TRUE, f"Compose ignores {ENV_FILE}"),
}
"""Variables with the values, in any case, that break something."""


@check(
    "shell-variables",
    "No stray COMPOSE_* or DOCKER_* variable is set in this shell.",
    why="They silently change which files, values and engine a command uses.",
)
def shell_variables(settings: Settings) -> Iterator[Verdict]:
    found = False
    for name, value in sorted(settings.shell.items()):
        values, broken = FATAL.get(name, (frozenset(), ""))
        broken = broken if value.strip().lower() in values else ""
        effect = STRAY.get(name)
        if broken or (effect and value and (name, value) not in HARMLESS):
            found = True
            judge = fail if broken else warn
            detail = f"{name} is set in this shell: {broken or effect}"
            yield judge(detail, f"unset {name}", about=name)
    if not found:
        yield ok("no stray variable of Docker or Compose is set")


@check(
    "shell-overrides",
    "The shell does not override values of `.env`.",
    why="An exported value overrides the file, and the next shell may not export it.",
)
def shell_overrides(
    own_values: Mapping[str, str], settings: Settings
) -> Iterator[Verdict]:
    others = [
        name
        for name, value in own_values.items()
        if name in settings.shell and settings.shell[name] != value
    ]
    for name in others:
        yield warn(
            f"{name} of this shell overrides {ENV_FILE}", f"unset {name}", about=name
        )
    if not others:
        yield ok(f"the shell overrides nothing of {ENV_FILE}")
