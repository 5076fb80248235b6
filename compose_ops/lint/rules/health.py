"""Health checks: present, able to fail, and in time."""

import re
from collections.abc import Iterator

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.healthcheck import Check, check_of, hit, is_missing
from compose_ops.lint.registry import rule
from compose_ops.lint.rules.products import product_of
from compose_ops.lint.shell_programs import base_name, script_of
from compose_ops.lint.target import LintTarget, Service

OPERATORS = frozenset(
    {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>&1", "2>/dev/null"}
)
PASSES_ON = frozenset({"expr"})
VARIABLE = re.compile(r"\$(\w+|\{\w+)")
TLS_FLAGS = re.compile(r"--(ssl-keyfile|ssl-certfile|certfile|tls-cert|https-port)\b")


def waiting_for(subject: LintTarget, name: str) -> list[Service]:
    """Return the services that wait until this one is healthy."""
    waiting = subject.waiting.get(name, ())
    return [one for one, condition in waiting if condition == "service_healthy"]


def is_one_shot(subject: LintTarget, service: Service) -> bool:
    """Say whether others wait for this service to finish rather than to be healthy."""
    waiting = subject.waiting.get(service.name, ())
    return any(c == "service_completed_successfully" for _, c in waiting)


@rule(
    "health-shell-operators",
    "error",
    "A health check without a shell contains shell operators, or is one text.",
    why="An exec form passes `|`, `&&` or `$NAME` to the program as plain text. "
    "`echo … | client` then only echoes, exits 0 and is healthy for ever; "
    '`[CMD, "curl -f http://x"]` looks for a program of that whole name.',
    source="run on Engine 26.1.5: healthy on an image without the client",
    repair="Write it as CMD-SHELL, or call a shell: `[CMD, sh, -c, …]`.",
)
def health_shell_operators(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        check = check_of(service)
        if check is None or not check.argv or script_of(check.argv) is not None:
            continue
        if base_name(check.argv[0]) in PASSES_ON:
            continue
        if len(check.argv) == 1 and " " in check.argv[0].strip():
            yield hit(
                service,
                check,
                f"{service.name}'s health check takes `{check.argv[0]}` for the name "
                "of one program",
            )
            continue
        found = [w for w in check.argv if w in OPERATORS or VARIABLE.fullmatch(w)]
        if found:
            shown = ", ".join(f"`{word}`" for word in dict.fromkeys(found))
            yield hit(
                service, check, f"{service.name}'s health check passes {shown} as text"
            )


@rule(
    "health-shell-words",
    "error",
    "A CMD-SHELL health check has more than one word after it.",
    why="The shell runs the first word alone; the rest are its arguments. "
    '`[CMD-SHELL, "true", "&&", "false"]` is healthy for ever, `[CMD-SHELL, test, -d, '
    "/etc]` never.",
    source="run on Engine 26.1.5",
    repair='Write the whole command as one text: `[CMD-SHELL, "test -d /etc"]`.',
)
def health_shell_words(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        check = check_of(service)
        if check is not None and check.unread:
            yield hit(
                service,
                check,
                f"{service.name}'s health check runs `{check.script}` alone, without "
                f"`{' '.join(check.unread)}`",
            )


@rule(
    "health-cannot-fail",
    "error",
    "A health check ends with success whatever happens.",
    why="A hung service stays healthy: nothing waits for it, restarts it or stops an "
    "update.",
    source="run on Engine 26.1.5: `… || true` is healthy with the service stopped",
    repair="Let the check's own exit code through: `… || exit 1`.",
)
def health_cannot_fail(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        check = check_of(service)
        ending = cannot_fail(check) if check is not None and not check.unread else ""
        if check is not None and ending:
            yield hit(
                service, check, f"{service.name}'s health check cannot fail: {ending}"
            )


@rule(
    "health-curl-without-fail",
    "warning",
    "A health check asks with curl and takes any answer for a good one.",
    why="Without `--fail` curl ends with 0 for 404 and 500 alike: a service that only "
    "answers errors is healthy.",
    source="curl(1), --fail; run on Engine 26.1.5",
    repair="Add `-f`: `curl -fsS http://…`.",
)
def health_curl_without_fail(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        check = check_of(service)
        if check is not None and takes_any_answer(check):
            yield hit(
                service,
                check,
                f"{service.name}'s health check takes any answer that curl gets",
            )


@rule(
    "dependency-not-awaited",
    "warning",
    "A service starts before the health check of what it depends on has passed.",
    why="`depends_on` without a condition waits for the container, not for the program "
    "in it: the first connections are refused, now and then.",
    source="docs.docker.com, Control startup order",
    repair="`depends_on: {db: {condition: service_healthy}}`: the check is there.",
)
def dependency_not_awaited(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services if not subject.is_swarm else ():
        check = check_of(service)
        for one, condition in subject.waiting.get(service.name, ()):
            open_ended = condition == "service_started" and not is_chosen(one, service)
            if check is not None and open_ended:
                yield RawFinding(
                    one.path("depends_on", service.name),
                    f"{one.name} does not wait until {service.name} is healthy, though "
                    f"{service.name} has a health check",
                )


def is_chosen(service: Service, other: Service) -> bool:
    """Say whether a file states the condition on which a service depends."""
    path = service.path("depends_on", other.name, "condition")
    return any(one.find(path) for one in service.subject.documents)


@rule(
    "health-http-on-tls",
    "error",
    "A health check speaks plain text to a service that speaks TLS only.",
    why="The server answers a plain request with an error, so a service that works "
    "is called unhealthy, and whatever waits for it never starts.",
    source="EventStore oss-v23.10.0 ClusterVNodeStartup.cs: HTTPS only on 2113 unless "
    "insecure; Memgraph: TLS once certificate and key are given",
    repair="Probe https (or the client's TLS flag) when TLS is on.",
)
def health_http_on_tls(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        check = check_of(service)
        if check is None:
            continue
        product = product_of(service)
        if product is not None and product.speaks_tls(service):
            plain = not product.probes_tls(check.text)
        else:
            plain = bool(TLS_FLAGS.search(" ".join(service.argv))) and (
                "http://" in check.text and "https://" not in check.text
            )
        if plain:
            yield hit(
                service,
                check,
                f"{service.name} speaks TLS only, its health check does not",
            )


@rule(
    "health-missing",
    "warning",
    "A service has no health check.",
    why="Nothing tells a hung process from a working one: `up --wait`, an update and "
    "`depends_on` take running for working. A note for what nobody depends on.",
    source="Compose: without a health check `--wait` ends at running",
    repair="Add `healthcheck:` that asks the service for what it is there for.",
    needs=("model", "image"),
)
def health_missing(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        if is_missing(service) and not is_one_shot(subject, service):
            waited_for = service.store or subject.waiting.get(service.name)
            yield RawFinding(
                service.path("healthcheck"),
                f"{service.name} has no health check",
                "" if waited_for else "note",
            )


@rule(
    "health-waited-for-missing",
    "error",
    "A service waits for the health of one that has no health check.",
    why="Compose ends with `has no healthcheck configured` after it has started "
    "everything else.",
    source="run on Compose 2.26.1",
    repair="Give the dependency a health check, or wait for `service_started`.",
)
def health_waited_for_missing(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        waiting = waiting_for(subject, service.name) if is_missing(service) else []
        for one in waiting:
            yield RawFinding(
                one.path("depends_on", service.name),
                f"{one.name} waits for {service.name}, which has no health check",
            )


@rule(
    "health-too-slow",
    "warning",
    "A health check needs longer for its verdict than those who wait for it have.",
    why="A hung service is called unhealthy after start_period + retries * (interval + "
    "timeout). Whoever waits gives up before, and nobody learns why.",
    source="run on Engine 26.1.5; docker/compose#12416, #12424",
    repair="Lower interval, timeout or retries, or raise the start's time limit.",
)
def health_too_slow(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services if subject.start_timeout else ():
        check = check_of(service)
        if check is None or not waiting_for(subject, service.name):
            continue
        if check.last_verdict > subject.start_timeout:
            yield hit(
                service,
                check,
                f"{service.name}'s health check needs {check.last_verdict:.0f} s to "
                f"say unhealthy, a start waits {subject.start_timeout:.0f} s",
            )


@rule(
    "health-first-verdict",
    "note",
    "A service that others wait for is first probed after a whole interval.",
    why="The engine probes first after `interval`, also within `start_period`, unless "
    "`start_interval` is set: a service that is ready in 1 s holds up the rest.",
    source="run on Engine 26.1.5: 30.8 s at interval 30s, 1.8 s at start_interval 1s",
    repair="Set `start_interval: 1s` with a `start_period` (Engine 25 and later).",
)
def health_first_verdict(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        check = check_of(service)
        if check is None or not waiting_for(subject, service.name):
            continue
        if check.first_verdict >= SLOW:
            yield hit(
                service,
                check,
                f"{service.name} is first called healthy after "
                f"{check.first_verdict:.0f} s, however fast it starts",
            )


ALWAYS = re.compile(
    r"(\|\|\s*(/bin/)?(true|:|exit\s+0)|;\s*(/bin/)?(true|:|exit\s+0))\s*;?\s*$"
)
NOTHING_ASKED = re.compile(
    r"\s*((/bin/)?true|:|exit\s+0|echo\s[^;&|]*|/bin/echo\s.*)\s*$"
)


def cannot_fail(check: Check) -> str:
    """Return why a check always ends with success, empty when it can fail."""
    if check.script:
        match = ALWAYS.search(check.script)
        if match and not re.search(r"\bexit\s+[1-9]|\bset -\w*e", check.script):
            return f"it ends with `{match[0].strip()}`"
        if NOTHING_ASKED.match(check.script):
            return f"`{check.script.strip()}` asks nothing"
        return ""
    name = base_name(check.argv[0]) if check.argv else ""
    operators = {"|", "||", "&&"} & set(check.argv)
    if name in {"true", "echo"} and not operators:
        return f"`{name}` asks nothing"
    return ""


CURL = re.compile(r"(^|[\s;&|(])(\S*/)?curl\s")
FAIL_FLAG = re.compile(
    r"\s(-[a-zA-Z]*f[a-zA-Z]*|--fail|--fail-with-body|--fail-early)\b"
)


def takes_any_answer(check: Check) -> bool:
    """Say whether the check is one call of curl that succeeds for any answer."""
    text = f"{check.text} "
    if not CURL.search(text) or FAIL_FLAG.search(text):
        return False
    plain = re.sub(r"\|\|\s*(exit\s+1|false)\s*$", "", text.strip())
    plain = re.sub(r"[12]?>+\s*(&\d|/dev/null)", "", plain)
    plain = re.sub(r"'[^']*'|\"[^\"]*\"", "''", plain)
    asks_http = re.search(r"https?://|localhost|127\.0\.0\.1|\$|''", plain)
    return bool(
        re.match(r"(\S*/)?curl\s[^|;&`(]*$", plain)
        and asks_http
        and not re.search(r"\s(-w|--write-out|-K|--config)\b|telnet://", text)
    )


SLOW = 20.0
"""Seconds that a ready service may wait for its first probe without a finding."""
