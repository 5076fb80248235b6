"""The project keeps every setting of the guide, or declares that it does not."""

import shutil
from pathlib import Path

import pytest
from compose_models import Combination
from deviations import Findings, compare
from guide_coverage import load_table
from ledger import LEDGER, load_entries, missing_proofs
from repository import BASE_FILE, ROOT, own_files

DEV = Combination(tuple(own_files("dev")))
APP_DOCKERFILE = "docker/services/app/Dockerfile"

# (file, text there, text instead, what has to be reported)
MUTATIONS = [
    # a setting changed, dropped or given another sign
    (BASE_FILE, "memory: 12G", "memory: 13G", "memgraph.deploy.resources.limits"),
    (BASE_FILE, "QDB_SHARED_WORKER_COUNT: 2", "QDB_OTHER: 2", "QDB_SHARED_WORKER"),
    (BASE_FILE, "./config:/app/config:ro", "./config:/app/config", "config:ro]"),
    (BASE_FILE, "version: '3.9'", "version: '3.8'", "version"),
    (BASE_FILE, 'enable_icc: "false"', 'enable_icc: "true"', "enable_icc"),
    (BASE_FILE, "timeout: 10s", "timeout: 11s", "memgraph.healthcheck.timeout"),
    ("docker-compose.dev.yml", 'RELOAD: "true"', 'RELOAD: "yes"', "app.environment"),
    (APP_DOCKERFILE, "PYTHONUNBUFFERED=1", "PYTHONUNBUFFERED=0", "runtime/ENV[2]"),
    # a declared difference that is another one now
    (BASE_FILE, "shm_size: 2.5gb", "shm_size: 3gb", "ray-head.shm_size"),
    (BASE_FILE, "127.0.0.1}:${APP_PORT", "0.0.0.0}:${APP_PORT", "app.ports[8000"),
    # something opened
    (BASE_FILE, "    init: true", "    user: root\n    init: true", "ray-head.user"),
    (BASE_FILE, "    init: true", "    privileged: true", "ray-head.privileged"),
    (BASE_FILE, "cap_add: [CHOWN", "cap_add: [SYS_ADMIN, CHOWN", "cap_add[SYS_ADMIN]"),
    (
        BASE_FILE,
        "./jimbot:/app/jimbot:ro\n    env",
        "./jimbot:/app/jimbot:ro\n      - /var/run/docker.sock:/engine.sock\n    env",
        "ray-head.volumes[/engine.sock]",
    ),
    (
        BASE_FILE,
        "      - compute_network\n",
        "      - compute_network\n      - frontend_network\n",
        "ray-head.networks[frontend_network]",
    ),
    (
        BASE_FILE,
        "\nsecrets:\n  db",
        "  extra:\n    image: extra:1\n    networks: [extra]\n\nsecrets:\n  db",
        "services.extra:",
    ),
    (BASE_FILE, "\nnetworks:\n", "\nnetworks:\n  extra: {}\n", "networks.extra"),
    (BASE_FILE, ':-9009}:9009"', ':-9009}:9009"\n      - 9003:9003', "ports[9003]"),
    (APP_DOCKERFILE, "EXPOSE 8000", "EXPOSE 8000\nEXPOSE 22", "EXPOSE: guide nothing"),
]

# (entry, text there, text instead)
OUTDATED = [
    ("ray-shared-memory", "here: 2.5gb", "here: 2.6gb"),
    ("ray-health-retries", "head.healthcheck.retries", "head.shm_size"),
    ("ray-address", "guide: ray-head:6379\n", "guide: ray-head:6380\n"),
    ("ray-cpus", "here: ${RAY_CPUS:-4}", "here: ${RAY_CORES:-4}"),
    ("lab-is-a-service", "docker-compose.dev.yml services.lab", "docker/none.yml lab"),
    ("daemon-settings-are-a-file-to-merge", "here: docker/daemon.json", "here: none"),
    ("app-requirements-path", "here: docker/services/app/req", "here: req"),
]


def _replace(file: Path, text: str, instead: str) -> None:
    original = file.read_text()
    assert text in original
    file.write_text(original.replace(text, instead, 1))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what the comparison reads."""
    copy = tmp_path_factory.mktemp("checkout") / "project"
    shutil.copytree(ROOT / "docker", copy / "docker")
    composed = [path.name for path in ROOT.glob("docker-compose*.yml")]
    for name in [LEDGER, ".env.example", *composed]:
        (copy / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def findings() -> Findings:
    """Return what holding the project against its ledger finds."""
    return compare()


@pytest.mark.compose
def test_every_difference_is_declared(findings: Findings) -> None:
    """In no combination is a setting changed or something opened undeclared."""
    assert [str(difference) for difference in findings.undeclared] == []


@pytest.mark.compose
def test_every_entry_still_holds(findings: Findings) -> None:
    """No entry names a difference that is not there, or quotes the guide wrongly."""
    assert findings.stale == []


@pytest.mark.compose
def test_every_setting_is_kept_or_declared(findings: Findings) -> None:
    """The counts of kept and declared settings add up to the guide's."""
    declared = sum(len(rows) for rows in findings.declared.values())

    assert len(findings.kept) + declared == len(load_table())
    assert len(findings.kept) > declared


def test_every_proof_is_a_test() -> None:
    """Each entry names a test function that the project has."""
    assert missing_proofs(load_entries()) == []


def test_every_entry_has_a_name_of_its_own() -> None:
    """Two entries with one id could not be told apart."""
    names = [entry.id for entry in load_entries()]

    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def mutated(checkout: Path) -> list[str]:
    """Return what is reported of a copy with every mutation in it."""
    copy = shutil.copytree(checkout, checkout.with_name("mutated"))
    for file, text, instead, _ in MUTATIONS:
        _replace(copy / file, text, instead)
    return [str(difference) for difference in compare(copy, [DEV]).undeclared]


@pytest.mark.compose
@pytest.mark.parametrize("reported", [mutation[3] for mutation in MUTATIONS])
def test_an_undeclared_change_is_found(mutated: list[str], reported: str) -> None:
    """A setting changed, or something opened, in a copy of the project is reported."""
    assert [line for line in mutated if reported in line]


@pytest.fixture(scope="module")
def outdated(checkout: Path) -> list[str]:
    """Return what is reported of a ledger in which seven entries say what is not."""
    copy = shutil.copytree(checkout, checkout.with_name("outdated"))
    for _, text, instead in OUTDATED:
        _replace(copy / LEDGER, text, instead)
    return compare(copy, [DEV]).stale


@pytest.mark.compose
@pytest.mark.parametrize("entry", [entry for entry, _, _ in OUTDATED])
def test_a_stale_entry_is_found(
    findings: Findings, outdated: list[str], entry: str
) -> None:
    """An entry that says what is not so is reported."""
    assert not [line for line in findings.stale if line.startswith(f"{entry}:")]
    assert [line for line in outdated if line.startswith(f"{entry}:")]


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("kind: changed", "kind: other"),
        ("ring: engine", "ring: guess"),
        ("ring: engine", "ring: real-image"),
        ("  why: ", "  because: "),
        ("guide: [172.20.0.0/24, ", "guide: ["),
    ],
)
def test_an_entry_outside_the_schema_is_refused(
    checkout: Path, text: str, instead: str
) -> None:
    """An unknown kind, ring or key, a missing source, uneven lists are refused."""
    original = (checkout / LEDGER).read_text()
    (checkout / LEDGER).write_text(original.replace(text, instead, 1))
    try:
        with pytest.raises(ValueError, match=r"schema|ring|length"):
            load_entries(checkout)
    finally:
        (checkout / LEDGER).write_text(original)


def test_a_proof_that_is_no_test_is_found(checkout: Path) -> None:
    """A proof whose file or function is not there is reported."""
    entries = load_entries(checkout)

    assert len(missing_proofs(entries, checkout)) == len(entries)
