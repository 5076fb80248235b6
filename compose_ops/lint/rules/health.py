"""Health checks: present, able to fail, and in time."""

import re
from collections.abc import Iterator

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.healthcheck import check_of, hit, is_missing
from compose_ops.lint.registry import rule
from compose_ops.lint.rules.products import product_of
from compose_ops.lint.shell_programs import script_of
from compose_ops.lint.target import LintTarget, Service

OPERATORS = frozenset(
    {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>&1", "2>/dev/null"}
)
VARIABLE = re.compile(r"\$(\w+|\{\w+)")
TLS_FLAGS = re.compile(r"--(ssl-keyfile|ssl-certfile|certfile|tls-cert|https-port)\b")


def waiting_for(subject: LintTarget, name: str) -> list[Service]:
    """Return the services that wait until this one is healthy."""
    return [
        one
        for one in subject.services
        if one.get("depends_on", name, "condition") == "service_healthy"
    ]


def is_one_shot(subject: LintTarget, service: Service) -> bool:
    """Say whether others wait for this service to finish rather than to be healthy."""
    conditions = {
        one.get("depends_on", service.name, "condition") for one in subject.services
    }
    return "service_completed_successfully" in conditions


@rule(
    "health-shell-operators",
    "error",
    "A health check without a shell contains shell operators.",
    why="An exec form passes `|`, `&&` or `$NAME` to the program as plain text. "
    "`echo … | client` then only echoes, exits 0 and is healthy for ever.",
    source="run on Engine 26.1.5: healthy on an image without the client",
    repair="Write it as CMD-SHELL, or call a shell: `[CMD, sh, -c, …]`.",
)
def health_shell_operators(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        check = check_of(service)
        if check is None or not check.argv or script_of(check.argv) is not None:
            continue
        found = [w for w in check.argv if w in OPERATORS or VARIABLE.fullmatch(w)]
        if found:
            shown = ", ".join(f"`{word}`" for word in dict.fromkeys(found))
            yield hit(
                service, check, f"{service.name}'s health check passes {shown} as text"
            )


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
    "`depends_on` take running for working.",
    source="Compose: without a health check `--wait` ends at running",
    repair="Add `healthcheck:` that asks the service for what it is there for.",
)
def health_missing(subject: LintTarget) -> Iterator[RawFinding]:
    for service in subject.services:
        if is_missing(service) and not is_one_shot(subject, service):
            yield RawFinding(
                service.path("healthcheck"), f"{service.name} has no health check"
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
    for service in subject.services:
        check = check_of(service)
        if check is None or not waiting_for(subject, service.name):
            continue
        if check.last_verdict > subject.patience:
            yield hit(
                service,
                check,
                f"{service.name}'s health check needs {check.last_verdict:.0f} s to "
                f"say unhealthy, a start waits {subject.patience:.0f} s",
            )


@rule(
    "health-first-verdict",
    "warning",
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


SLOW = 20.0
"""Seconds that a ready service may wait for its first probe without a finding."""
