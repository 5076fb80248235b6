"""Production as it runs: one way in, TLS, passwords, verified servers."""

import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_scenario import Scenario, created, docker, inspected
from mcp_checks import (
    add_client,
    assert_every_tool_works,
    cancelled_call,
    endpoint,
    ping,
)
from mcp_clients import PythonLoad, Server, TypeScript, by_python, installed
from repository import CONFIG, config_in
from waiting import eventually

from compose_ops.stack import certificates

pytestmark = [pytest.mark.docker, pytest.mark.slow]
FEW = 12
FILES = ("docker-compose.yml", "docker-compose.prod.yml", "docker/overlays/offline.yml")


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a checkout that runs in production on stand-ins."""
    scenario = created(tmp_path_factory.mktemp("production"))
    scenario.set(EVENTSTORE_INSECURE="true", CLAUDE_RATE_LIMIT="1000000")
    file = scenario.root / "docker-compose.prod.yml"
    text = file.read_text()
    assert "monitor: 18s" in text
    assert "delay: 10s" in text
    quick = text.replace("monitor: 18s", "monitor: 3s").replace(
        "delay: 10s", "delay: 1s"
    )
    file.write_text(quick)
    try:
        scenario.invoke("init", "--prod")
        add_client(scenario, "second")
        scenario.invoke("up", "--prod", "--offline", timeout=590)
        yield scenario
    except AssertionError:
        print(scenario.evidence())  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        scenario.remove()


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> TypeScript:
    return installed(tmp_path_factory.mktemp("typescript"))


def answer(scenario: Scenario, path: str) -> tuple[int, Any]:
    """Return status and JSON of a page, through the gateway's published port."""
    host, port = scenario.published("gateway", 8000)
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as page:
            return page.status, json.load(page)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def dependencies(scenario: Scenario, *, ready: bool) -> dict[str, Any]:
    """Return what /ready says of each dependency, once it is *ready* or is not."""
    pages: list[dict[str, Any]] = []

    def is_so() -> bool:
        pages.append(answer(scenario, "/ready")[1])
        return bool(pages[-1]["ready"] == ready)

    eventually(is_so, evidence=lambda: pages[-1])
    found: dict[str, Any] = pages[-1]["dependencies"]
    return found


def replicas(scenario: Scenario) -> list[dict[str, Any]]:
    label = "com.docker.compose.service"
    return [c for c in scenario.containers() if c["Config"]["Labels"][label] == "app"]


def name(scenario: Scenario) -> str:
    """Return what the application calls itself."""
    return str(answer(scenario, "/")[1]["name"])


def edit(scenario: Scenario, text: str, instead: str) -> None:
    """Change a line of the application's pages in the checkout."""
    file = scenario.root / "jimbot/web.py"
    assert text in file.read_text()
    file.write_text(file.read_text().replace(text, instead))


def test_the_gateway_is_the_way_in(production: Scenario) -> None:
    """Two replicas answer through one port, and nothing else is published."""
    status, page = answer(production, "/")
    published = {
        container["Name"].removeprefix(f"/{production.project}-")
        for container in production.containers()
        if any((container["NetworkSettings"]["Ports"] or {}).values())
    }

    assert (status, page["environment"]) == (200, "production")
    assert len(replicas(production)) == 2
    assert published == {"gateway"}


def test_the_app_leaves_by_its_own_network(production: Scenario) -> None:
    """Neither of the gateway's networks takes the replicas' default route."""
    project = production.project
    network = inspected("network", [f"{project}_frontend_network"])[0]
    gateway = network["IPAM"]["Config"][0]["Subnet"].rsplit(".", 1)[0] + ".1"

    for replica in replicas(production):
        routes = docker("exec", replica["Id"], "cat", "/proc/net/route")
        default = [
            r.split() for r in routes.splitlines() if "00000000" in r.split()[1:2]
        ]
        assert [_address(fields[2]) for fields in default] == [gateway]


def test_every_dependency_is_reached(production: Scenario) -> None:
    """The app speaks verified TLS and knows the passwords."""
    found = dependencies(production, ready=True)

    assert sorted(found) == ["eventstore", "memgraph", "questdb", "ray"]


def test_databases_ask_for_tls_and_password(production: Scenario) -> None:
    """Memgraph and QuestDB refuse the clear, the default and the wrong password."""
    app = replicas(production)[0]["Id"]
    python = ("exec", "-i", app, "python", "-c")
    bolt = (
        "import neo4j, sys; user, word, scheme = sys.argv[1:]\n"
        "d = neo4j.GraphDatabase.driver(scheme + '://memgraph:7687',"
        " auth=(user, word), connection_timeout=5, max_transaction_retry_time=1)\n"
        "d.verify_connectivity()"
    )
    postgres = (
        "import psycopg, sys\n"
        "psycopg.connect(host='questdb', port=8812, user='admin', dbname='qdb',"
        " password=sys.argv[1], connect_timeout=5)"
    )
    right = (production.root / "secrets/db_password.txt").read_text()

    assert _fails(*python, bolt, "jimbot", right, "bolt")
    assert _fails(*python, bolt, "jimbot", "wrong", "bolt+ssc")
    assert _fails(*python, bolt, "", "", "bolt+ssc")
    assert not _fails(*python, bolt, "jimbot", right, "bolt+ssc")
    assert _fails(*python, postgres, "quest")
    assert not _fails(*python, postgres, right)


def test_both_official_clients_call_every_tool(
    production: Scenario, typescript: TypeScript
) -> None:
    """And a seed gives both the same estimate, whichever replica they reach."""
    python = by_python(endpoint(production, "gateway", "claude"), "auto")
    script = typescript.every(endpoint(production, "gateway", "second"))

    assert_every_tool_works(python)
    assert_every_tool_works(script)
    estimates = [r["results"]["estimate_hand"] for r in (python, script)]
    assert estimates[0] == estimates[1]
    assert 0 < estimates[0]["standard_error"] < estimates[0]["expected_score"] / 10


def test_clients_need_a_token_that_nobody_else_sees(production: Scenario) -> None:
    """Without it 401; it stands in no log and no container's configuration."""
    right = endpoint(production, "gateway", "claude")

    assert ping(Server(right.url)).status_code == 401
    assert ping(Server(right.url, right.token[:-1])).status_code == 401
    assert ping(right, Origin="http://evil.example").status_code == 403
    assert ping(right).status_code == 200
    for replica in replicas(production):
        assert right.token not in docker("logs", replica["Id"], check=False)
        assert right.token not in json.dumps(replica)


def test_a_cancelled_call_ends_whichever_replica_has_it(production: Scenario) -> None:
    """The session leads the cancellation to the call."""
    where = endpoint(production, "gateway", "claude")

    for session in ("one", "two", "three"):
        assert '"result"' not in cancelled_call(where, session)


def test_a_dead_replica_takes_only_its_own_calls_along(
    production: Scenario, typescript: TypeScript
) -> None:
    """Each replica dies once; what was not under way in it is answered."""
    for replica in replicas(production):
        with (
            PythonLoad(endpoint(production, "gateway", "claude")) as python,
            typescript.load(endpoint(production, "gateway", "second")) as script,
        ):
            python.wait_for(python.made + 10)
            begin = time.time()
            docker("kill", replica["Id"])
            end = time.time()
            python.wait_for(python.made + 40)
        docker("start", replica["Id"])
        _wait_until_healthy(replica["Id"])

        for load in (python, script):
            assert load.failed_outside(begin, end) == []
            # The call under way, and one that the dying process's socket still took.
            assert len(load.failures) <= 2
            assert load.made > 10


def _wait_until_healthy(container: str) -> None:
    def state() -> dict[str, Any]:
        found: dict[str, Any] = inspected("container", [container])[0]["State"]
        return found

    eventually(lambda: state()["Health"]["Status"] == "healthy", evidence=state)


def test_eventstore_serves_https_alone(production: Scenario) -> None:
    """EVENTSTORE_INSECURE=true in .env does not open it."""
    health = "localhost:2113/health/live"
    store = production.container("eventstore")["Id"]

    assert _fails("exec", store, "curl", "-fs", "-m", "5", f"http://{health}")
    assert not _fails("exec", store, "curl", "-fsk", "-m", "5", f"https://{health}")


def test_each_key_is_readable_to_its_service_alone(production: Scenario) -> None:
    """Owner and mode name the service's user; a container of another is refused."""
    for name, server in CONFIG.init.certificates.servers.items():
        key = production.root / "certs" / name / "key.pem"
        seen = production.execute(name, "cat", "/certs/key.pem")

        assert (key.stat().st_uid, key.stat().st_mode & 0o777) == (server.uid, 0o400)
        assert "PRIVATE KEY" in seen
        assert _fails(
            *("run", "--rm", "--network", "none", "--user", "4321:4321"),
            *("--mount", f"type=bind,source={key},target=/key.pem,readonly"),
            *("localhost/jimbot-base:bookworm", "cat", "/key.pem"),
        )


def test_no_password_shows_in_inspect(production: Scenario) -> None:
    """The secret is in no container's configuration."""
    word = (production.root / "secrets/db_password.txt").read_text().strip()

    assert word
    assert word not in json.dumps(production.containers())


def test_initialising_again_writes_over_nothing(production: Scenario) -> None:
    """A complete set is kept, a part of one is refused."""
    root = production.root
    before = {path: path.read_bytes() for path in certificates.files(config_in(root))}

    production.invoke("init", "--prod")
    assert {path: path.read_bytes() for path in before} == before

    lost = root / "certs/app/ca.pem"
    kept = lost.rename(root / "ca.pem")
    production.invoke("init", "--prod", code=3)
    kept.rename(lost)


def test_clients_that_never_pause_lose_no_call_in_an_update(
    production: Scenario, typescript: TypeScript
) -> None:
    """Both official clients call one tool after the other; both replicas are new."""
    before = {c["Id"] for c in replicas(production)}
    production.set(ANTHROPIC_API_KEY="third")
    with (
        PythonLoad(endpoint(production, "gateway", "claude")) as python,
        typescript.load(endpoint(production, "gateway", "second")) as script,
    ):
        production.invoke("rolling-update", "--service", "app")

    assert (python.failures, script.failures) == ([], [])
    assert min(python.made, script.made) > 50, (python.made, script.made)
    assert not before & {c["Id"] for c in replicas(production)}


def test_new_code_gets_in_by_an_update_that_loses_no_request(
    production: Scenario,
) -> None:
    """A build and a changed key replace both replicas, and the proof counts it."""
    before = {c["Id"] for c in replicas(production)}
    production.set(ANTHROPIC_API_KEY="another")
    edit(production, '"name": "jimbot"', '"name": "jimbot two"')
    assert name(production) == "jimbot"

    outcome = production.json("rolling-update", "--service", "app", "--build")
    after = replicas(production)

    assert outcome["result"] == "updated"
    assert outcome["proof"]["failed"] == 0
    assert outcome["proof"]["requests"] > 100
    assert name(production) == "jimbot two"
    assert len(after) == 2
    assert not before & {c["Id"] for c in after}


def test_an_update_right_after_an_update_has_nothing_to_do(
    production: Scenario,
) -> None:
    """What the test before has just updated is as it was asked for."""
    found = production.json("rolling-update", "--service", "app", "--dry")

    assert found["result"] == "nothing-to-do"


def test_a_bad_rebuild_leaves_nothing_behind(production: Scenario) -> None:
    """The replicas stay, and so does the image that later tasks start."""
    before = replicas(production)
    edit(production, "import AsyncIterator", "import NothingOfTheKind")

    production.invoke("rebuild", "--service", "app", "--cache", code=8)

    assert {c["Id"] for c in replicas(production)} == {c["Id"] for c in before}
    image = inspected("image", [f"{production.project}-app"])[0]["Id"]
    assert {c["Image"] for c in before} == {image}
    found = production.json("rolling-update", "--service", "app", "--dry")
    assert found["result"] == "nothing-to-do"


def test_a_rollback_brings_the_code_back(production: Scenario) -> None:
    """What the checkout says meanwhile does not matter."""
    left = replicas(production)[0]["Image"]

    production.invoke("rollback", "--service", "app")

    assert name(production) == "jimbot"
    now = replicas(production)[0]["Image"]
    assert kept(production) == {now}
    assert left != now
    words = ("rolling-update", "--service", "app", "--image", now, "--dry")
    assert production.json(*words)["result"] == "nothing-to-do"


def kept(scenario: Scenario) -> set[str]:
    """Return the ids of the images that are kept for the project."""
    pattern = f"reference=localhost/{scenario.project}-app:kept-*"
    names = docker(
        *("image", "ls", "--filter", pattern),
        *("--format", "{{.Repository}}:{{.Tag}}"),
    )
    return {str(found["Id"]) for found in inspected("image", names.split())}


@pytest.mark.parametrize("flags", [("--dry",), ()])
def test_what_cannot_run_beside_the_old_is_refused(
    production: Scenario, flags: tuple[str, ...]
) -> None:
    """A dry run says so as well, and nothing is touched."""
    file = production.root / "docker-compose.prod.yml"
    text, before = file.read_text(), {c["Id"] for c in replicas(production)}
    ports = "container_name: !reset null\n    ports: !reset []"
    assert ports in text
    fixed = ports.replace("!reset []", '!override ["127.0.0.1:18999:8000"]')
    file.write_text(text.replace(ports, fixed))
    try:
        refused = production.invoke(
            "rolling-update", "--service", "app", *flags, code=3
        )
    finally:
        file.write_text(text)

    assert "cannot be updated start-first: its port 18999 is fixed" in refused.stderr
    assert {c["Id"] for c in replicas(production)} == before


def test_a_foreign_authority_makes_the_app_unready(production: Scenario) -> None:
    """With another CA the app trusts neither server, and says so."""
    file = production.root / "certs/app/ca.pem"
    original = file.read_bytes()
    elsewhere = production.root / "foreign"
    table = CONFIG.init.certificates
    certificates.make(elsewhere / "certs", table, lambda _keys: None)
    try:
        _rewrite(file, (elsewhere / "certs/app/ca.pem").read_bytes())
        docker("restart", *(c["Id"] for c in replicas(production)))
        found = dependencies(production, ready=False)
    finally:
        _rewrite(file, original)
        docker("restart", *(c["Id"] for c in replicas(production)))
        shutil.rmtree(elsewhere)

    down = {name for name, answer in found.items() if not answer["up"]}
    assert {"memgraph", "eventstore"} <= down
    assert dependencies(production, ready=True)


def test_the_limit_is_each_clients_over_all_replicas(production: Scenario) -> None:
    """Two clients get FEW calls each, whichever replicas they came to; then 429."""
    production.set(CLAUDE_RATE_LIMIT=str(FEW))
    words = ("up", "--detach", "--no-deps", "--no-build", "--wait", "gateway")
    production.compose(*words, files=FILES)
    clients = [endpoint(production, "gateway", name) for name in ("claude", "second")]

    answers = [[ping(client) for _ in range(FEW + 2)] for client in clients]

    for of_client in answers:
        assert [a.status_code for a in of_client] == [200] * FEW + [429] * 2
        assert int(of_client[-1].headers["retry-after"]) == 60
        assert of_client[-1].json()["error"]["message"].startswith(f"more than {FEW} ")


def _rewrite(file: Path, content: bytes) -> None:
    """Change a file in place, so that a bind mount of its folder shows it."""
    file.write_bytes(content)


def _fails(*words: str) -> bool:
    try:
        docker(*words)
    except AssertionError:
        return True
    return False


def _address(little_endian: str) -> str:
    """Return an address as /proc/net/route writes it in dotted form."""
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(little_endian)))
