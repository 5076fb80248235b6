"""
The third-party products themselves: what no stand-in can show of the ledger.

Run with --real-images where a registry answers; the images are pulled as needed.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from compose_models import rendered
from e2e_scenario import docker
from literal_engine import Literals, container
from repository import ROOT, own_files
from waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.real_images]

READ_PORT = "exec 3<>/dev/tcp/127.0.0.1/{port}"


@pytest.fixture
def literals(tmp_path: Path) -> Iterator[Literals]:
    """Return a maker of throw-away containers; all of them are removed afterwards."""
    made = Literals(name=f"literal-{os.urandom(4).hex()}", folder=tmp_path)
    yield made
    made.remove()


def image(service: str) -> str:
    """Return the image that the project runs or builds *service* on."""
    model = rendered(own_files("dev"), root=ROOT)["services"][service]
    built_on = {
        "memgraph": "memgraph/memgraph-mage:latest",
        "ray-head": model.get("build", {}).get("args", {}).get("CUDA_IMAGE"),
        "app": "python:3.9-slim",
    }
    return str(built_on.get(service) or model["image"])


def exits(name: str) -> bool:
    """Tell whether a container ended by itself within a minute."""
    return until(lambda: container(name)["State"]["Status"] == "exited")


def log(name: str) -> str:
    """Return all that a container has printed."""
    return docker("logs", name, check=False)


def listens(literals: Literals, name: str, port: int) -> bool:
    """Tell whether something in a container takes connections on *port*."""
    command = ("bash", "-c", READ_PORT.format(port=port))
    return literals.run("exec", name, *command).returncode == 0


def queried(literals: Literals, name: str, query: str) -> str:
    """Return what mgconsole in a container answers; empty when it fails."""
    command = f"echo '{query}' | mgconsole --output-format=csv"
    done = literals.run("exec", name, "bash", "-c", command)
    return done.stdout if done.returncode == 0 else ""


def test_memgraph_refuses_a_positional_argument(literals: Literals) -> None:
    """The guide's dev command ends the server; without its first word it serves."""
    literal = ("memgraph", "--log-level=DEBUG", "--also-log-to-stderr")
    wrong = literals.start(command=literal, image=image("memgraph"))
    right = literals.start(command=literal[1:], image=image("memgraph"))

    assert exits(wrong)
    assert container(wrong)["State"]["ExitCode"] != 0
    assert until(lambda: listens(literals, right, 7687))


def test_memgraph_knows_no_config_option(literals: Literals) -> None:
    """`--config` is refused; `--flag-file` on the packaged file serves."""
    path = "/etc/memgraph/memgraph.conf"
    wrong = literals.start(command=("--config", path), image=image("memgraph"))
    right = literals.start(command=(f"--flag-file={path}",), image=image("memgraph"))

    assert exits(wrong)
    assert container(wrong)["State"]["ExitCode"] != 0
    assert until(lambda: listens(literals, right, 7687))


def test_memgraph_reads_its_limits_from_flags_only(literals: Literals) -> None:
    """The variable changes nothing, the flag sets the limit in MiB."""
    variable = ("--env", "MEMGRAPH_MEMORY_LIMIT=1G")
    by_variable = literals.start(*variable, command=(), image=image("memgraph"))
    flag = ("--memory-limit=1024",)
    by_flag = literals.start(command=flag, image=image("memgraph"))

    def limit(name: str) -> str:
        answer = queried(literals, name, "SHOW STORAGE INFO;")
        return next((line for line in answer.splitlines() if "allocation" in line), "")

    assert until(lambda: limit(by_variable) and limit(by_flag))
    assert "1.00GiB" in limit(by_flag)
    assert "1.00GiB" not in limit(by_variable)


def test_memgraph_says_that_a_snapshot_has_nothing_new(literals: Literals) -> None:
    """The words that the backup's label looks for; the stand-in's are its own."""
    name = literals.start(command=(), image=image("memgraph"))
    assert until(lambda: queried(literals, name, "SHOW STORAGE INFO;"))

    command = "echo 'CREATE SNAPSHOT;' | mgconsole 2>&1"
    _, again = (literals.run("exec", name, "bash", "-c", command) for _ in range(2))

    assert again.returncode == 0 or "since the last snapshot" in again.stdout


def test_memgraph_holds_no_lab(literals: Literals) -> None:
    """Bolt is served, and nothing listens on the guide's port for Lab."""
    name = literals.start(command=(), image=image("memgraph"))

    assert until(lambda: listens(literals, name, 7687))
    assert not listens(literals, name, 3000)


def test_questdb_has_no_curl(literals: Literals) -> None:
    """Neither curl nor wget is in the image, bash is."""
    entry = ("--entrypoint", "bash")

    found = {
        program: literals.once(
            *entry, command=("-c", f"command -v {program}"), image=image("questdb")
        ).returncode
        == 0
        for program in ("bash", "curl", "wget")
    }

    assert found == {"bash": True, "curl": False, "wget": False}


def test_questdb_takes_its_log_level_by_writer(literals: Literals) -> None:
    """QDB_LOG_LEVEL does not silence the log, QDB_LOG_W_STDOUT_LEVEL does."""
    names = {
        variable: literals.start(
            "--env", f"{variable}=CRITICAL", command=(), image=image("questdb")
        )
        for variable in ("QDB_LOG_LEVEL", "QDB_LOG_W_STDOUT_LEVEL")
    }

    assert until(lambda: all(listens(literals, n, 9000) for n in names.values()))
    assert " I " in log(names["QDB_LOG_LEVEL"])
    assert " I " not in log(names["QDB_LOG_W_STDOUT_LEVEL"])


def test_eventstore_needs_a_certificate_or_insecure(literals: Literals) -> None:
    """The guide's default ends the server, and it names what it lacks."""
    name = literals.start(
        "--env", "EVENTSTORE_INSECURE=false", command=(), image=image("eventstore")
    )

    assert exits(name)
    assert container(name)["State"]["ExitCode"] == 1
    assert "certificate" in log(name).lower()


def test_eventstore_speaks_https_or_http(literals: Literals) -> None:
    """With --dev certificates plain HTTP fails; insecure, HTTPS does."""
    insecure = ("--env", "EVENTSTORE_INSECURE=true")
    plain = literals.start(*insecure, command=(), image=image("eventstore"))
    home = ("--env", "HOME=/tmp")
    secure = literals.start(*home, command=("--dev",), image=image("eventstore"))

    def answers(name: str, scheme: str) -> bool:
        url = f"{scheme}://localhost:2113/health/live"
        return literals.run("exec", name, "curl", "-fsk", url).returncode == 0

    assert until(lambda: answers(plain, "http"))
    assert until(lambda: answers(secure, "https"))
    assert not answers(plain, "https")
    assert not answers(secure, "http")


def test_eventstore_listens_on_tcp_when_enabled(literals: Literals) -> None:
    """The guide's port alone opens nothing, external TCP has to be enabled."""
    insecure = ("--env", "EVENTSTORE_INSECURE=true")
    port = ("--env", "EVENTSTORE_EXT_TCP_PORT=1113")
    enabled = ("--env", "EVENTSTORE_ENABLE_EXTERNAL_TCP=true")
    tag = image("eventstore")
    literal = literals.start(*insecure, *port, command=(), image=tag)
    cured = literals.start(*insecure, *port, *enabled, command=(), image=tag)

    assert until(lambda: all(listens(literals, n, 2113) for n in (literal, cured)))
    assert until(lambda: listens(literals, cured, 1113))
    assert not listens(literals, literal, 1113)


def test_python_slim_has_no_curl(literals: Literals) -> None:
    """The app's base lacks the program that the guide's check runs."""
    done = literals.once(command=("sh", "-c", "command -v curl"), image=image("app"))

    assert done.returncode != 0
    assert done.stdout == ""


def test_jammy_has_no_python_3_9(literals: Literals) -> None:
    """In the CUDA image's archive there is 3.10 and no 3.9."""
    script = (
        "apt-get update -qq && apt-get install -y --simulate python3.10 && "
        "! apt-get install -y --simulate python3.9"
    )

    done = literals.once(command=("sh", "-c", script), image=image("ray-head"))

    assert done.returncode == 0, done.stderr


def test_a_single_gpu_is_index_zero(literals: Literals) -> None:
    """A container that is given the second GPU alone sees it as number 0."""
    count = ("--gpus", "all")
    listed = literals.once(
        *count, command=("nvidia-smi", "-L"), image=image("ray-head")
    )
    if listed.stdout.count("UUID") < 2:
        pytest.skip("needs a machine with two GPUs")

    given = ("--gpus", json.dumps("device=1"))
    one = literals.once(*given, command=("nvidia-smi", "-L"), image=image("ray-head"))

    assert one.stdout.startswith("GPU 0:")
    assert one.stdout.count("UUID") == 1
