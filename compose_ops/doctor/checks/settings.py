"""`.env` against `.env.example`: complete, known, real, and private."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from compose_ops import redaction
from compose_ops.docker.api import Container
from compose_ops.doctor.facts.settings import Interpolated, Settings
from compose_ops.doctor.registry import check
from compose_ops.project.paths import ENV_EXAMPLE, ENV_FILE
from compose_ops.project.secret_strength import (
    REAL_VALUE,
    SECRET_WORDS,
    is_placeholder,
    is_secret,
    is_weak,
)
from compose_ops.runtime.context import StackContext, of_another_checkout
from compose_ops.verdicts import Verdict, command, fail, listed, ok, warn

INIT = "invoke init"
OWN = f'sudo chown "$(id -u)" {ENV_FILE} && chmod u+rw {ENV_FILE}'
RECODE = (
    f"(umask 077; iconv -f WINDOWS-1252 -t UTF-8 {ENV_FILE} > {ENV_FILE}.partial) "
    f"&& mv {ENV_FILE}.partial {ENV_FILE}"
)


@check(
    "env-file",
    "There is a `.env`, and every line of it is an assignment.",
    why="Compose takes the values from there and silently ignores any other line.",
)
def env_file(settings: Settings) -> Iterator[Verdict]:
    if settings.trouble:
        detail = f"{ENV_FILE} cannot be read: {settings.trouble}"
        repair = RECODE if "codec" in settings.trouble else OWN
        yield fail(detail, repair, about="unreadable")
        return
    if settings.file is None and not settings.example:
        yield ok(f"there is no {ENV_FILE}, and no example asks for one")
        return
    if settings.file is None:
        yield fail(f"there is no {ENV_FILE}", INIT, about="absent", safe=True)
        return
    for number in settings.broken:
        yield warn(
            f"line {number} of {ENV_FILE} is not an assignment",
            command("sed", "-i", f"{number}s/^/# /", ENV_FILE),
            about=f"line {number}",
        )
    for name, earlier in settings.repeated.items():
        edits = ";".join(f"{first},{last}s/^/# /" for first, last in earlier)
        yield warn(
            f"{name} is set more than once in {ENV_FILE}: the last one counts",
            command("sed", "-i", edits, ENV_FILE),
            about=name,
        )
    yield ok(f"{len(settings.file)} variables in {ENV_FILE}")


@check(
    "env-missing",
    "Every variable of `.env.example` has a value.",
    why="A variable that is not set becomes an empty string, not an error.",
)
def env_missing(own_values: Mapping[str, str], settings: Settings) -> Iterator[Verdict]:
    there = own_values.keys() | settings.shell.keys()
    missing = [name for name in settings.example if name not in there]
    if missing:
        yield fail(
            f"{ENV_FILE} lacks {listed(missing)}",
            INIT,
            about=" ".join(missing),
            safe=True,
        )
    else:
        yield ok(f"{ENV_FILE} has every variable of {ENV_EXAMPLE}")


@check(
    "env-unknown",
    "Every variable of `.env` is one that the compose files read.",
    why="A misspelt variable has no effect, without any warning.",
)
def env_unknown(settings: Settings, interpolated: frozenset[str]) -> Iterator[Verdict]:
    known = {*settings.example, *interpolated}
    unknown = [
        name
        for name in settings.file or {}
        if name not in known
        and not name.startswith(("COMPOSE_", "DOCKER_", "BUILDKIT_"))
    ]
    for name in unknown:
        near = get_close_matches(name, known, n=1, cutoff=0.75)
        better = near[0] if near and near[0] not in (settings.file or {}) else ""
        suggestion = f"; did you mean {near[0]}?" if near else ""
        change = f"s/^{name}=/{better}=/" if better else f"s/^{name}=/# {name}=/"
        yield warn(
            f"no compose file reads {name} of {ENV_FILE}{suggestion}",
            command("sed", "-i", change, ENV_FILE),
            about=name,
        )
    if not unknown:
        yield ok(f"the compose files read every variable of {ENV_FILE}")


@check(
    "env-interpolation",
    "No value of `.env` loses a part because of a `$` in it.",
    why="Compose takes `$name` for a variable: a password is cut there, and the "
    "service gets the rest.",
)
def env_interpolation(
    interpolated_values: tuple[Interpolated, ...],
) -> Iterator[Verdict]:
    sound = True
    for value in interpolated_values:
        secret = redaction.is_secret_name(value.name)
        if not secret and not value.unset:
            continue
        sound = False
        judge = fail if secret else warn
        unset = f": {listed(value.unset)} is not set" if value.unset else ""
        yield judge(
            f"Compose reads {value.name} of {ENV_FILE} otherwise than it is written"
            f"{unset}; $ starts a variable",
            single_quoted(value.name),
            about=value.name,
        )
    if sound:
        yield ok(f"Compose reads every value of {ENV_FILE} as it is written")


def single_quoted(name: str) -> str:
    """Return what puts a value in single quotes, where `$` has no meaning."""
    pattern = (
        f"s/^((export +)?{name} *= *)([\"']?)(.*[^\"' ])[\"']? *$/"
        r"\1'\4'/"
    )
    return command("sed", "-i", "-E", pattern, ENV_FILE)


@check(
    "env-placeholder",
    "No secret of `.env` is still the example's placeholder, or empty.",
    why="The stack starts and then fails at the first request that needs the value.",
)
def env_placeholder(
    stack: StackContext, own_values: Mapping[str, str], settings: Settings
) -> Iterator[Verdict]:
    del own_values
    left = [
        name
        for name in settings.example
        if is_secret(name) and is_placeholder(settings.in_force.get(name, ""))
    ]
    if left and stack.mode.substitutes:
        yield ok(
            f"{listed(left)} is a placeholder; the offline stack calls no external "
            "service"
        )
        return
    for name in left:
        judge = fail if stack.mode.production else warn
        yield judge(
            f"{name} is a placeholder",
            settings.assignment(name, REAL_VALUE),
            about=name,
        )
    if not left:
        yield ok("no placeholder is left")


@check(
    "env-strength",
    "No password, key or token of `.env` is easy to guess.",
    why="A secret that can be guessed protects nothing.",
)
def env_strength(
    stack: StackContext, own_values: Mapping[str, str], settings: Settings
) -> Iterator[Verdict]:
    weak = [
        name
        for name in own_values
        if name.endswith(SECRET_WORDS)
        and not is_placeholder(settings.in_force.get(name, ""))
        and is_weak(settings.in_force.get(name, ""))
    ]
    if weak and stack.mode.substitutes:
        yield ok(f"{listed(weak)} is weak; the offline stack calls no external service")
        return
    for name in weak:
        yield warn(
            f"{name} of {ENV_FILE} is easy to guess",
            settings.assignment(name, REAL_VALUE),
            about=name,
        )
    if not weak:
        yield ok(f"no secret of {ENV_FILE} is weak")


@check(
    "env-private",
    "Only its owner may read `.env`.",
    why="It contains the API key.",
)
def env_private(own_values: Mapping[str, str], settings: Settings) -> Iterator[Verdict]:
    del own_values
    if settings.readers:
        yield warn(
            f"{settings.readers} can read {ENV_FILE}",
            command("chmod", "600", ENV_FILE),
            about="mode",
            safe=True,
        )
    else:
        yield ok(f"{ENV_FILE} is private")


@check(
    "project-name",
    "The project of this name was started from this checkout.",
    why="Two checkouts with one project name replace each other's containers and "
    "share data.",
)
def project_name(
    stack: StackContext, all_containers: tuple[Container, ...], settings: Settings
) -> Iterator[Verdict]:
    other = stack.other_checkout
    if other is None:
        yield ok(f"{stack.project} is this checkout's project")
        return
    detail = of_another_checkout(stack.project, other, stack.root).message
    taken = {container.project for container in all_containers}
    spare = next(
        name
        for number in range(2, len(taken) + 3)
        if (name := f"{stack.project}-{number}") not in taken
    )
    repair = settings.assignment("COMPOSE_PROJECT_NAME", spare)
    yield fail(detail, repair, about=str(other))
