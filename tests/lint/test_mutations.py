"""Each rule sees its fault in the project's own model, and only there."""

from typing import Any

import pytest
from mutations import (
    ANY_GPU,
    DEVICES,
    ENGINE_SOCKET,
    FILE,
    MISSING_FILE,
    ONE_GPU,
    OPEN_PORT,
    PLAIN_PROBE,
    REQUIREMENTS,
    RESERVED,
    SUBNET,
    Mutation,
    accepted,
    also,
    as_postgres,
    both,
    context,
    example,
    image,
    model,
    network,
    put,
    refused,
    text,
    unawaited,
    undeclared,
    unset,
    well_known,
    without,
)
from project_models import few_subjects

from compose_ops.lint import (
    EnvLine,
    Finding,
    LintTarget,
    all_rules,
    check_all,
    unaccepted,
)

pytestmark = pytest.mark.compose


def doubled_port(services: dict[str, Any]) -> None:
    """Let a second service take the application's port."""
    port = dict(services["app"]["ports"][0])
    services["questdb"]["ports"].append({**port, "target": 9003})


MUTATIONS = (
    Mutation("refused-by-compose", refused),
    text("declared-unused", FILE, "\nsecrets:\n", "\nsecrets:\n  more: {file: ./x}\n"),
    Mutation("used-undeclared", undeclared),
    model(
        "health-shell-operators",
        put("memgraph", "healthcheck", "test", value=["CMD", "echo", "|", "mgconsole"]),
    ),
    model(
        "health-http-on-tls",
        both(
            put("eventstore", "environment", "EVENTSTORE_INSECURE", value="false"),
            put("eventstore", "healthcheck", "test", value=PLAIN_PROBE),
        ),
    ),
    model("health-missing", without("questdb", "healthcheck")),
    model("health-waited-for-missing", without("memgraph", "healthcheck")),
    model("health-too-slow", put("questdb", "healthcheck", "retries", value=30)),
    model("health-first-verdict", without("ray-head", "healthcheck", "start_interval")),
    model(
        "missing-binary",
        put("questdb", "healthcheck", "test", value=["CMD", "curl", "localhost:9000"]),
    ),
    image("daemonises", "ray-head", ', "--block"]', "]"),
    model(
        "command-repeats-entrypoint",
        put("memgraph", "command", value=["memgraph", "--log-level=INFO"]),
    ),
    model(
        "ports-on-internal", put("questdb", "networks", value={"data_network": None})
    ),
    model("port-on-all-interfaces", put("app", "ports", value=[OPEN_PORT])),
    model("port-taken-twice", doubled_port),
    model(
        "port-nothing-listens",
        without("eventstore", "environment", "EVENTSTORE_ENABLE_EXTERNAL_TCP"),
    ),
    model("fixed-name-doubled", put("app", "deploy", "replicas", value=2)),
    model("fixed-port-doubled", put("app", "deploy", "replicas", value=3)),
    model("name-taken-twice", put("app", "container_name", value="jimbot-questdb")),
    network("subnet-mixed", "data_network", {"ipam": {}}),
    network("subnet-overlap", "data_network", SUBNET),
    model("no-common-network", without("app", "networks", "data_network")),
    model("dns-icc-off", put("questdb", "networks", "frontend_network", value=None)),
    model(
        "default-route-by-name",
        put("app", "networks", "monitoring_network", value=None),
    ),
    model("volume-under-tmpfs", put("ray-head", "tmpfs", value=["/tmp/ray:size=2G"])),
    model("store-without-grace", without("questdb", "stop_grace_period")),
    model("volume-unmapped", lambda services: services["memgraph"]["volumes"].pop(1)),
    image(
        "volume-unwritable",
        "app",
        "mkdir -p /app/logs && chown jimbot:jimbot /app/logs",
        "true",
    ),
    example("variable-undocumented", lambda lines: lines.pop("ANTHROPIC_API_KEY")),
    example("variable-unused", lambda lines: lines.update({"STALE": EnvLine(1, "x")})),
    model(
        "environment-ignored",
        put("memgraph", "environment", "MEMGRAPH_SSL_CERT", value="/certs/cert.pem"),
    ),
    model(
        "fatal-setting",
        put("app", "environment", "RAY_ADDRESS", value="ray-head:6379"),
    ),
    text("version-as-number", FILE, "${PYTHON_VERSION:-3.9}", "3.9"),
    model(
        "secret-in-environment",
        put("memgraph", "environment", "MEMGRAPH_PASSWORD", value="x"),
    ),
    image("secret-in-build", "app", "ENV PYTHONUNBUFFERED=1", "ENV API_TOKEN=ab12"),
    context("secret-baked", "app", ignore=("*.pyc",)),
    model(
        "gpu-count-and-ids",
        put("ray-head", *DEVICES, value=[{**ONE_GPU, "device_ids": ["0"]}]),
    ),
    model(
        "gpu-without-amount",
        put("ray-worker-gpu-0", *DEVICES, value=[ANY_GPU]),
        "base+multi-gpu",
    ),
    model(
        "gpu-visible-beyond",
        put("ray-worker-gpu-1", "environment", "CUDA_VISIBLE_DEVICES", value="1"),
        "base+multi-gpu",
    ),
    model("gpu-asked-twice", put("ray-head", *DEVICES, value=[ONE_GPU, ONE_GPU])),
    model("shm-below-store", put("ray-head", "shm_size", value="2147483648")),
    text("memory-beyond-machine", FILE, "memory: 32G", "memory: 24G"),
    model("memory-unstated", without("app", "deploy", "resources", "limits")),
    text("cpus-beyond-engine", FILE, "memory: 32G", "memory: 32G\n  cpus: 2"),
    model("reservation-above-limit", put("app", *RESERVED, value="8589934592")),
    image("root-user", "ray-head", "USER jimbot", "USER root"),
    model("new-privileges", put("app", "security_opt", value=[])),
    model("capability-added", also("questdb", "cap_add", "SYS_ADMIN")),
    model("privileged", put("ray-head", "privileged", value=True)),
    model("docker-socket", also("app", "volumes", ENGINE_SOCKET)),
    model("host-namespace", put("ray-head", "ipc", value="host")),
    model("image-unpinned", put("questdb", "image", value="questdb/questdb:latest")),
    model("target-missing", put("app", "build", "target", value="debugging")),
    context("copy-source-missing", "app", absent=frozenset({REQUIREMENTS})),
    model("build-arg-unread", put("app", "build", "args", "UNREAD", value="1")),
    image("layer-order", "app", f"COPY {REQUIREMENTS} .", "COPY . ."),
    image(
        "package-absent",
        "ray-head",
        "add-apt-repository -y ppa:deadsnakes/ppa",
        "apt-get install -y python3.9",
    ),
    model(
        "update-monitor-short",
        put("app", "deploy", "update_config", value={"order": "stop-first"}),
    ),
    text(
        "override-appends",
        "docker-compose.dev.yml",
        "${APP_DEBUG_PORT:-5678}:5678",
        "${APP_DEBUG_PORT:-5678}:8000",
        "dev",
    ),
    Mutation("accepted-nothing", accepted),
    model(
        "health-shell-words",
        put("questdb", "healthcheck", "test", value=["CMD-SHELL", "test", "-d", "/"]),
    ),
    model(
        "health-cannot-fail",
        put("questdb", "healthcheck", "test", value=["CMD-SHELL", "ready || true"]),
    ),
    model(
        "health-curl-without-fail",
        put(
            "eventstore", "healthcheck", "test", value=PLAIN_PROBE[:2] + PLAIN_PROBE[3:]
        ),
    ),
    Mutation("dependency-not-awaited", unawaited),
    Mutation("well-known-password", well_known),
    unset("variable-empty", "ANTHROPIC_API_KEY"),
    model("data-folder-moved", as_postgres("18.1", "/var/lib/postgresql/data")),
    model(
        "volume-shared-by-stores",
        both(
            as_postgres("17", "/var/lib/postgresql/data"),
            as_postgres("17", "/var/lib/postgresql/data", "eventstore"),
        ),
    ),
    model(
        "data-label-unknown",
        put("memgraph", "labels", "compose-ops.data.volume", value="memgraph_data"),
    ),
    model(
        "native-inconsistent",
        put("app", "labels", "compose-ops.backup.consistency", value="native"),
    ),
    model("bind-source-missing", also("app", "volumes", MISSING_FILE)),
    model(
        "key-ignored",
        put("questdb", "deploy", "update_config", value={"parallelism": 1}),
    ),
)


def stand_ins(mutation: Mutation) -> list[LintTarget]:
    """Return the project's subjects with the one that the mutation breaks replaced."""
    found = dict(few_subjects())
    found[mutation.combination] = mutation.apply(found[mutation.combination])
    if mutation.combination == "base":
        return [found["base"]]
    return list(found.values())


def found_by(rule: str, subjects: list[LintTarget]) -> list[Finding]:
    only = None if rule == "accepted-nothing" else {rule}
    return [f for f in unaccepted(check_all(subjects, only)) if f.rule == rule]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.rule)
def test_fault_in_the_project_is_found(mutation: Mutation) -> None:
    """The rule finds its fault in the project, where it finds nothing without it."""
    untouched = found_by(mutation.rule, list(few_subjects().values()))
    broken = found_by(mutation.rule, stand_ins(mutation))

    assert untouched == []
    assert broken


def test_every_rule_has_a_mutation() -> None:
    """Each rule is tried on the project itself."""
    assert {mutation.rule for mutation in MUTATIONS} == set(all_rules())
