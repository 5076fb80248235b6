"""Commands: present in the image, in the foreground, and fit for the entry point."""

import re
from collections.abc import Iterator, Sequence

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.healthcheck import check_of, hit
from compose_ops.lint.registry import rule
from compose_ops.lint.shell_programs import (
    BUILTINS,
    base_name,
    programs,
    programs_of_script,
    script_of,
)
from compose_ops.lint.target import LintTarget, Service


def command_hit(service: Service, message: str, *, keyword: str = "CMD") -> RawFinding:
    """Return a hit at the command, in the Dockerfile when Compose states none."""
    for key in ("command", "entrypoint"):
        if service.get(key):
            return RawFinding(service.path(key), message)
    for stage in service.stages:
        found = stage.last(keyword) or stage.last("ENTRYPOINT")
        if found is not None and service.build is not None:
            path = service.build.dockerfile.path
            return RawFinding(service.path("build"), message, "", path, found.line)
    return RawFinding(service.path(), message)


def lacks(service: Service, program: str) -> bool:
    """Say whether the image is known not to have a program."""
    name = base_name(program)
    return name in service.facts.lacks and name not in BUILTINS


@rule(
    "missing-binary",
    "error",
    "A health check or a command calls a program that the image does not have.",
    why="The engine answers `executable file not found in $PATH`: a health check is "
    "then unhealthy for ever and holds up what waits for it, a command never starts.",
    source="run on Engine 26.1.5; questdb/questdb#2873 (neither curl nor wget)",
    repair="Install it in the Dockerfile, or ask with what the image has.",
)
def missing_binary(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        check = check_of(service)
        wanted = check.programs if check else []
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
                f"which {service.image or 'the image'} does not have",
            )
        argv = service.argv
        for program in (one for one in programs(argv) if lacks(service, one)):
            yield command_hit(
                service,
                f"{service.name} runs {program}, "
                f"which {service.image or 'the image'} does not have",
            )


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
        flag = background(service.argv)
        if flag:
            yield command_hit(
                service, f"{service.name}'s command returns at once: {flag}"
            )


def background(argv: Sequence[str]) -> str:
    """Return why a command leaves the foreground, empty when it stays."""
    text = script_of(argv) or " ".join(argv)
    last = re.split(r"&&|;|\n", text.strip().rstrip(";"))[-1]
    for pattern, stays, reason in DAEMONS:
        if re.search(pattern, last) and not (stays and re.search(stays, text)):
            return reason
    return ""


DAEMONS = (
    (r"\bray start\b", r"--block\b", "`ray start` needs --block"),
    (r"^\s*(\S*/)?nginx\b", r"daemon off|-[tTvVh]\b", "nginx needs `-g 'daemon off;'`"),
    (r"\bredis-server\b.*--daemonize yes", "", "--daemonize yes"),
    (r"\bgunicorn\b.*(\s-D\b|--daemon\b)", "", "gunicorn's --daemon"),
    (r"\bcelery\b.*(--detach\b|\bmulti start\b)", "", "celery in the background"),
    (r"\b(apachectl|apache2ctl)\b", r"FOREGROUND", "apachectl needs -D FOREGROUND"),
    (r"^\s*(\S*/)?sshd\b", r"\s-\w*[DdtT]", "sshd needs -D"),
    (r"^\s*service \S+ start\s*$", "", "`service … start` returns"),
    (r"\bsupervisord\b", r"\s(-n|--nodaemon)\b|\s-c\b", "supervisord needs --nodaemon"),
    (r"\bpg_ctl\b.*\bstart\b", "", "pg_ctl start returns"),
)


@rule(
    "command-repeats-entrypoint",
    "error",
    "The command names the program that is the image's entry point already.",
    why="The command is appended to the entry point, so the program gets its own name "
    "as first argument. Memgraph 3.10 and later exits because of it.",
    source="memgraph/memgraph v3.12.0 src/memgraph.cpp:107-146 and strict_flag_check",
    repair="Leave the program's name out of the command.",
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
