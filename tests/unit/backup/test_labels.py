"""Commands of labels and of products, with what the stores may answer."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from repository import BASE_FILE, ROOT
from small_server import Asked, Reply, answer, serving

from compose_ops import products


def run(
    service: str, label: str, path: Path, *, shell: str = "sh"
) -> subprocess.CompletedProcess[str]:
    """Run a label's command with the programs in *path* before all others."""
    return ran(of_label(service, label), path, shell=shell)


def of_label(service: str, label: str) -> str:
    """Return a command of our compose file as the container gets it."""
    services = yaml.safe_load((ROOT / BASE_FILE).read_text())["services"]
    found: str = services[service]["labels"][f"compose-ops.{label}"]
    return found.replace("$$", "$")


def ran(
    command: str, path: Path, *, shell: str = "sh", given: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shell, "-c", command],
        env=os.environ | {"PATH": f"{path}:{os.environ['PATH']}"},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )


def of_product(name: str, setting: str) -> str:
    """Return a product's command as it is run, behind its preamble."""
    settings = products.load().known[name].settings
    return f"{settings.get('backup.preamble', '')}\n{settings[setting]}"


def program(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o700)
    return folder


def curl(folder: Path, *, https: str, http: str = "exit 7") -> Path:
    """Put a curl there that does as told for each scheme, and asks for JSON."""
    text = f"""
case $* in *'Accept: application/json'*) ;; *) echo 'ScavengeId: 1'; exit ;; esac
case $* in *https://*) {https} ;; *) {http} ;; esac"""
    return program(folder, "curl", text)


IDLE = """echo '{"scavengeId": "", "scavengeLink": ""}'"""
BUSY = """echo '{"scavengeId": "3b7f", "scavengeLink": "/admin/scavenge/3b7f"}'"""


@pytest.mark.parametrize(("https", "http"), [(IDLE, "exit 7"), ("exit 35", IDLE)])
def test_eventstore_without_a_scavenge_is_copied_while_it_runs(
    tmp_path: Path, https: str, http: str
) -> None:
    """With certificates, and insecure."""
    done = run(
        "eventstore", "backup.native.prepare", curl(tmp_path, https=https, http=http)
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("https", "http", "why"),
    [
        (BUSY, "exit 7", "a scavenge runs"),
        ("exit 35", BUSY, "a scavenge runs"),
        ("exit 22", "exit 52", "it does not say whether a scavenge runs"),
        ("echo '{}'", "exit 7", "it does not say whether a scavenge runs"),
        ("echo 'ScavengeId: 1'", "exit 7", "it does not say whether a scavenge runs"),
        ("exit 28", "exit 28", "it does not say whether a scavenge runs"),
    ],
    ids=["busy", "insecure and busy", "401", "empty", "text", "late"],
)
def test_eventstore_that_may_scavenge_is_not_copied_while_it_runs(
    tmp_path: Path, https: str, http: str, why: str
) -> None:
    """A scavenge removes chunks under the copy; no answer is no leave."""
    done = run(
        "eventstore", "backup.native.prepare", curl(tmp_path, https=https, http=http)
    )

    assert done.returncode != 0
    assert done.stderr.strip() == why


TABLES = {"SHOW%20TABLES": '[["trades"],["quotes"]]'}
COUNTS = {"trades'": "[[3]]", "quotes'": "[[4]]"}


def questdb(answers: dict[str, str]) -> Reply:
    """Answer a query that ends as told, and others by an error."""

    def reply(asked: Asked) -> bytes:
        found = [text for end, text in answers.items() if asked.path.endswith(end)]
        if not found:
            return answer(400, b'{"query":"x","error":"table busy","position":1}')
        return answer(200, f'{{"dataset":{found[0]},"count":1}}'.encode())

    return reply


@pytest.fixture(params=["label", "product"])
def questdb_count(request: pytest.FixtureRequest) -> str:
    """Return the count command of our compose file, and the one of the product."""
    if request.param == "product":
        return of_product("questdb", "backup.count")
    return of_label("questdb", "backup.count")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (TABLES | COUNTS, (0, "7")),
        ({"SHOW%20TABLES": "[]"}, (0, "0")),
        ({}, (1, "")),
        (TABLES, (1, "")),
    ],
    ids=["two tables", "no table", "refused", "a table that is not read"],
)
def test_questdb_counts_rows_only_where_every_query_is_answered(
    tmp_path: Path, questdb_count: str, answers: dict[str, str], said: tuple[int, str]
) -> None:
    with serving(questdb(answers)) as server:
        command = questdb_count.replace("/9000", f"/{server.port}")
        done = ran(command, tmp_path, shell="bash")

    assert (done.returncode, done.stdout.strip()) == said


def test_questdb_that_does_not_answer_counts_nothing(
    tmp_path: Path, questdb_count: str
) -> None:
    """A 0 would be a count that every drill of an empty store agrees with."""
    with serving() as server:
        command = questdb_count.replace("/9000", f"/{server.port}")

    done = ran(command, tmp_path, shell="bash")

    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(
    ("names", "tables", "said"),
    [
        ("echo one; echo two", "echo 5", (0, "10")),
        ("exit 2", "echo 5", (1, "")),
        ("echo one", "exit 2", (1, "")),
    ],
)
def test_postgresql_counts_tables_only_where_every_query_is_answered(
    tmp_path: Path, names: str, tables: str, said: tuple[int, str]
) -> None:
    psql = f"case $* in *pg_database*) {names} ;; *) {tables} ;; esac"

    done = ran(
        of_product("postgresql", "backup.count"), program(tmp_path, "psql", psql)
    )

    assert (done.returncode, done.stdout.strip()) == said


def redis(folder: Path, answers: dict[str, str]) -> Path:
    """Put a redis-cli there that does as told for commands, by how they end."""
    cases = "\n".join(f"*'{end}') {act} ;;" for end, act in answers.items())
    return program(
        folder,
        "redis-cli",
        f"""case "$*" in
*server) echo redis_version:7.2 ;;
{cases}
*) echo "NOPERM this user has no permissions" ;;
esac""",
    )


@pytest.mark.parametrize(
    ("keyspace", "said"),
    [
        ("echo '# Keyspace'; echo db0:keys=5,expires=2", (0, "3")),
        ("echo '# Keyspace'", (0, "0")),
        ("exit 1", (1, "")),
        ("echo 'NOPERM no'", (1, "")),
    ],
)
def test_redis_counts_keys_only_where_it_is_told_them(
    tmp_path: Path, keyspace: str, said: tuple[int, str]
) -> None:
    done = ran(
        of_product("redis", "backup.count"), redis(tmp_path, {"keyspace": keyspace})
    )

    assert (done.returncode, done.stdout.strip()) == said


def test_redis_whose_files_are_not_told_fails_its_check(tmp_path: Path) -> None:
    """It would pass without one file that was looked at."""
    done = ran(of_product("redis", "drill.check"), redis(tmp_path, {}))

    assert done.returncode == 1
    assert "where its files are" in done.stderr


def test_redis_with_files_passes_its_check(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").touch()
    redis(tmp_path, {"dir": f"echo {tmp_path}", "dbfilename": "echo dump.rdb"})
    program(tmp_path, "redis-check-rdb", f'[ "$1" = {tmp_path}/dump.rdb ]')

    done = ran(of_product("redis", "drill.check"), tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


HELD = "aof_enabled:1 aof_rewrite_scheduled:0 aof_rewrite_in_progress:0"


@pytest.mark.parametrize(
    ("persistence", "said_to_set", "expected"),
    [
        (HELD, "OK", ["ready", "stopped"]),
        (HELD, "NOPERM", ["failed it refuses CONFIG"]),
        ("aof_enabled:1", "OK", ["failed it does not say aof_rewrite_scheduled"]),
        ("aof_enabled:0", "OK", ["failed it does not say rdb_bgsave_in_progress"]),
    ],
)
def test_redis_is_copied_running_only_where_it_says_that_it_is_held(
    tmp_path: Path, persistence: str, said_to_set: str, expected: list[str]
) -> None:
    answers = {
        "persistence": f"printf '%s\\n' {persistence}",
        "rewrite-percentage": "echo name; echo 100",
        "rewrite-percentage 0": f"echo {said_to_set}",
        "rewrite-percentage 100": "echo OK",
    }

    done = ran(
        of_product("redis", "backup.native.session"),
        redis(tmp_path, answers),
        given="stop\n",
    )

    assert done.stdout.splitlines() == expected
