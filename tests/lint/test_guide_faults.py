"""The guide's settings, retyped without comments, show the faults that they have."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from lint_cases import HERE, folder_case, recorded_subjects

from compose_ops.lint import Finding, check_all

# Rule, and a part of the message: what keeps the guide's files from running, or bites.
FAULTS = (
    ("refused-by-compose", "can't set container_name and app"),
    ("refused-by-compose", '"count" and "device_ids" attributes are exclusive'),
    ("refused-by-compose", 'service "ray-head" not found'),
    ("fixed-name-doubled", "jimbot-app and 2 replicas"),
    ("fixed-port-doubled", "fixed port 8000 and 2 replicas"),
    ("copy-source-missing", "app's build context has no requirements.txt"),
    ("copy-source-missing", "memgraph's build context has no memgraph.conf"),
    ("target-missing", "app is built to stage development"),
    ("package-absent", "has no python3.9"),
    ("daemonises", "ray-head's command returns at once"),
    ("command-repeats-entrypoint", "memgraph memgraph --config"),
    ("command-repeats-entrypoint", "memgraph memgraph --log-level=DEBUG"),
    ("fatal-setting", "knows no flag --config"),
    ("fatal-setting", "a certificate is required"),
    ("fatal-setting", "RAY_ADDRESS ray-head:6379"),
    ("missing-binary", "questdb's health check calls curl"),
    ("missing-binary", "app's health check calls curl"),
    ("health-shell-operators", "memgraph's health check passes `|`"),
    ("health-http-on-tls", "eventstore speaks TLS only"),
    ("health-first-verdict", "memgraph is first called healthy after 30 s"),
    ("no-common-network", "app names questdb"),
    ("ports-on-internal", "memgraph publishes 7687"),
    ("ports-on-internal", "eventstore publishes 2113"),
    ("ports-on-internal", "ray-head publishes 6379"),
    ("port-on-all-interfaces", "app publishes 8000"),
    ("port-nothing-listens", "Memgraph Lab is not in this image"),
    ("port-nothing-listens", "EVENTSTORE_ENABLE_EXTERNAL_TCP"),
    ("volume-under-tmpfs", "ray_data and a tmpfs on /tmp/ray"),
    ("volume-unmapped", "/var/log/memgraph"),
    ("volume-unwritable", "cannot write to /app/logs"),
    ("store-without-grace", "memgraph writes to memgraph_data"),
    ("environment-ignored", "Memgraph ignores MEMGRAPH_MEMORY_LIMIT"),
    ("environment-ignored", "Memgraph ignores MEMGRAPH_SSL_CERT"),
    ("environment-ignored", "QuestDB ignores QDB_LOG_LEVEL"),
    ("environment-ignored", "Ray ignores RAY_OBJECT_STORE_MEMORY"),
    ("shm-below-store", "2G of shared memory for an object store of 2G"),
    ("gpu-count-and-ids", "asks for 1 GPU and for 0"),
    ("gpu-asked-twice", "ray-worker-gpu-1 asks for GPUs 2 times"),
    ("name-taken-twice", "both named jimbot-ray-head"),
    ("port-taken-twice", "both publish 6379"),
    ("secret-baked", "secrets/db_password.txt"),
    ("secret-in-environment", "ANTHROPIC_API_KEY"),
    ("image-unpinned", "memgraph-mage:latest"),
    ("root-user", "ray-head runs as root"),
    ("new-privileges", "app may gain new privileges"),
    ("build-arg-unread", "no ARG PYTHON_VERSION"),
    ("version-as-number", "PYTHON_VERSION: 3.9"),
    ("subnet-mixed", "compute_network has an automatic subnet"),
    ("update-monitor-short", "watched for 5 s"),
)


@cache
def findings() -> tuple[Finding, ...]:
    with TemporaryDirectory() as folder:
        case = folder_case(HERE / "guide" / "jimbot")
        return check_all(recorded_subjects(case, Path(folder)))


@pytest.mark.parametrize(("rule", "words"), FAULTS)
def test_fault_is_named(rule: str, words: str) -> None:
    """Each known fault of the guide's files is found by its rule."""
    assert [f for f in findings() if f.rule == rule and words in f.message]


def test_finding_points_to_the_line_at_fault() -> None:
    """The health check that only echoes is found where the guide's file writes it."""
    case = folder_case(HERE / "guide" / "jimbot")
    at = [
        case.files[f.file].splitlines()[f.line - 1]
        for f in findings()
        if f.rule == "health-shell-operators" and f.file == "docker-compose.yml"
    ]

    assert len(at) == 1
    assert '"|", "mgconsole"' in at[0]
