"""Commands: present in the image, in the foreground, and fit for the entry point."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.healthcheck import check_of, hit
from compose_ops.lint.registry import rule
from compose_ops.lint.service_images import INSTALLS
from compose_ops.lint.shell_programs import (
    BUILTINS,
    base_name,
    programs,
    programs_of_script,
    script_of,
)
from compose_ops.lint.target import LintTarget, Service


def command_hit(
    service: Service, message: str, *, keyword: str = "CMD", severity: str = ""
) -> RawFinding:
    """Return a hit at the command, in the Dockerfile when Compose states none."""
    for key in ("command", "entrypoint"):
        if service.get(key):
            return RawFinding(service.path(key), message, severity)
    for stage in service.stages:
        found = stage.last(keyword) or stage.last("ENTRYPOINT")
        if found is not None and service.build is not None:
            path = service.build.dockerfile.path
            where = service.path("build")
            return RawFinding(where, message, severity, path, found.line)
    return RawFinding(service.path(), message, severity)


def lacks(service: Service, program: str) -> bool:
    """
    Say whether the image is known not to have a program.

    A path says where: only in the system's own folders a missing program is known.
    """
    name, folder = base_name(program), program.rpartition("/")[0]
    system = not folder or folder in SYSTEM_FOLDERS
    return name in service.facts.lacks and name not in BUILTINS and system


@rule(
    "missing-binary",
    "error",
    "A health check or a command calls a program that the image does not have.",
    why="The engine answers `executable file not found in $PATH`: a health check is "
    "then unhealthy for ever and holds up what waits for it, a command never starts.",
    source="run on Engine 26.1.5; questdb/questdb#2873 (neither curl nor wget)",
    repair="Install it in the Dockerfile, or ask with what the image has.",
    needs=("model", "image"),
)
def missing_binary(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        check = check_of(service)
        script = script_of(service.argv) or ""
        installed = check is not None and bool(FETCHES.search(check.script + script))
        wanted = check.programs if check and not installed else []
        absent = [one for one in wanted if lacks(service, one)]
        alternatives = check is not None and "||" in check.text
        if (
            check
            and absent
            and not (alternatives and set(wanted) - set(absent) - {"sh"})
        ):
            yield hit(
                service,
                check,
                f"{service.name}'s health check calls {absent[0]}, "
                f"which {lacking(service)}",
                severity=surely(service),
            )
        argv = service.argv
        fetches = bool(FETCHES.search(script_of(argv) or ""))
        called = programs(argv) if not fetches and not is_unknown_entry(service) else ()
        for program in (one for one in called if lacks(service, one)):
            yield command_hit(
                service,
                f"{service.name} runs {program}, which {lacking(service)}",
                severity=surely(service),
            )


SYSTEM_FOLDERS = frozenset(
    {"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"}
)
FETCHES = re.compile(
    r"\b(apt|apt-get|apk|yum|dnf|microdnf|zypper|pip3?|npm|yarn|pnpm|gem|go|cargo)\s+"
    r"(-\S+\s+)*(install|add|i|get)\b"
)


def installs(service: Service) -> bool:
    """Say whether the Dockerfile installs packages, which may bring more programs."""
    if service.facts.asked:
        return False
    return any(
        INSTALLS.search(run.script)
        for stage in service.stages
        for run in stage.every("RUN")
    )


def lacking(service: Service) -> str:
    """Return how an image lacks a program: for sure, or probably."""
    probably = "probably " if installs(service) else ""
    return f"{service.image or 'the image'} {probably}does not have"


def surely(service: Service) -> str:
    return "warning" if installs(service) else ""


def is_unknown_entry(service: Service) -> bool:
    """Say whether the command goes to an entry point that nobody here knows."""
    return bool(not service.entrypoint and not service.facts.known)


@rule(
    "daemonises",
    "error",
    "The command puts its program into the background.",
    why="A container lives as long as its first process. A command that returns ends "
    "it with exit code 0, and the restart policy starts it again for ever.",
    source="run: `ray start --head` of Ray 2.9.0 returns after 4 s with code 0",
    repair="Use the program's foreground flag, such as `--block` or `daemon off;`.",
)
def daemonises(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        flag, sure = background(service)
        probably = "" if sure else "probably "
        if flag:
            yield command_hit(
                service,
                f"{service.name}'s command {probably}returns at once: {flag}",
                severity="" if sure else "warning",
            )


def background(service: Service) -> tuple[str, bool]:
    """Return why a command leaves the foreground, empty when it stays, and if sure."""
    for argv in (service.argv, service.command):
        script = script_of(argv)
        text = script if script is not None else " ".join(argv)
        last = re.split(r"&&|;|\n", text.strip().rstrip(";"))[-1]
        words = called(last.split())
        name = base_name(words[0]) if words else ""
        for daemon in DAEMONS:
            rest = " ".join(words[1:])
            if name == daemon.program and re.search(daemon.leaves, rest):
                if daemon.stays and re.search(daemon.stays, f" {text}"):
                    continue
                return daemon.reason, not daemon.configured or own_settings(service)
    return "", True


def called(words: Sequence[str]) -> Sequence[str]:
    """Return a command without what only starts it: `exec`, `sudo -u x`, `tini --`."""
    index = 0
    while index < len(words):
        word = words[index]
        if re.fullmatch(r"\w+=\S*", word) or base_name(word) in STARTERS:
            index += 1
        elif base_name(word) in {"gosu", "su-exec"}:
            index += 2
        elif index and word.startswith("-"):
            index += 1
        else:
            break
    return words[index:]


def own_settings(service: Service) -> bool:
    """Say whether the program runs with the settings that its image has."""
    official = re.match(r"^(docker\.io/)?(library/)?nginx([:@]|$)", service.image)
    mounts = service.volumes("bind", "volume")
    replaced = any(mount["target"].startswith("/etc/nginx") for mount in mounts)
    return bool(official and not service.get("build") and not replaced)


STARTERS = frozenset({"exec", "sudo", "nohup", "env", "tini", "dumb-init", "catatonit"})


@dataclass(frozen=True, slots=True)
class Daemon:
    """
    A program that goes into the background, and how.

    `leaves` is found in its arguments when it does, `stays` in the whole text when it
    does not; with `configured` its own settings may say that it stays.
    """

    program: str
    leaves: str
    stays: str
    reason: str
    configured: bool = False


DAEMONS = (
    Daemon("ray", r"^start\b", r"--block\b", "`ray start` needs --block"),
    Daemon(
        "nginx",
        "",
        r"daemon off|\s-[tTvVhs]\b",
        "nginx needs `-g 'daemon off;'`",
        configured=True,
    ),
    Daemon("redis-server", r"--daemonize yes", "", "--daemonize yes"),
    Daemon("gunicorn", r"(^|\s)(-D\b|--daemon\b)", "", "gunicorn's --daemon"),
    Daemon("celery", r"--detach\b|\bmulti start\b", "", "celery in the background"),
    Daemon(
        "apachectl", "", r"FOREGROUND|-[tvVhlLS]\b", "apachectl needs -D FOREGROUND"
    ),
    Daemon(
        "apache2ctl", "", r"FOREGROUND|-[tvVhlLS]\b", "apache2ctl needs -D FOREGROUND"
    ),
    Daemon("sshd", "", r"\s-\w*[DdtT]", "sshd needs -D"),
    Daemon("service", r"^\S+ start\s*$", "", "`service … start` returns"),
    Daemon(
        "supervisord",
        "",
        r"\s(-n|--nodaemon)\b|\s-c\b|--configuration",
        "supervisord needs --nodaemon",
        configured=True,
    ),
    Daemon("pg_ctl", r"\bstart\b", "", "pg_ctl start returns"),
)


@rule(
    "command-repeats-entrypoint",
    "error",
    "The command names the program that is the image's entry point already.",
    why="The command is appended to the entry point, so the program gets its own name "
    "as first argument. Memgraph 3.10 and later exits because of it.",
    source="memgraph/memgraph v3.12.0 src/memgraph.cpp:107-146 and strict_flag_check",
    repair="Leave the program's name out of the command.",
    needs=("model", "image"),
)
def command_repeats_entrypoint(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        entrypoint, command = service.entrypoint, service.command
        if not entrypoint or not command or script_of(entrypoint) is not None:
            continue
        program = base_name(entrypoint[0])
        if len(entrypoint) == 1 and base_name(command[0]) == program:
            yield command_hit(
                service,
                f"{service.name} would run `{program} {' '.join(command)}`, "
                f"with {program} given twice",
            )


def wanted_binaries(service: Service) -> list[str]:
    """Return the programs that an image must have for this service."""
    check = check_of(service)
    found = [*(check.programs if check else []), *programs(service.argv)[:1]]
    script = script_of(service.argv)
    found += programs_of_script(script)[:1] if script else []
    return list(dict.fromkeys(one for one in found if one not in BUILTINS))
