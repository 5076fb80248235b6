"""A container that is spoken to: lines, bytes beside them, unexpected ends."""

import io
from pathlib import Path

import pytest
from docker_script import Client

from compose_ops.docker.api import RunSpec
from compose_ops.docker.client import DockerEngine
from compose_ops.errors import EngineError

SPEC = RunSpec("image", [], name="helper")
ECHOES = "for line in sys.stdin: print('heard', line, end='', flush=True)\n"
STREAMS = """
count = int(sys.stdin.buffer.readline())
data = sys.stdin.buffer.read(count)
sys.stdout.buffer.write(data[::-1])
sys.stdout.flush()
print("wrote", len(data), file=sys.stderr, flush=True)
"""


def test_lines_are_answered_by_lines(client: Client) -> None:
    client(ECHOES)
    with DockerEngine().run_interactive(SPEC) as talk:
        talk.send("one")
        talk.send("two")

        assert [talk.receive(), talk.receive()] == ["heard one", "heard two"]


def test_bytes_go_beside_lines_both_ways(client: Client, tmp_path: Path) -> None:
    """So an archive needs no folder that the engine's host shares with this one."""
    client(STREAMS)
    data = bytes(range(256)) * 9000
    with (
        (tmp_path / "archive").open("wb") as archive,
        DockerEngine().run_interactive(SPEC, output=archive) as talk,
    ):
        talk.send(str(len(data)))
        talk.send_bytes(io.BytesIO(data + b"more"), len(data))
        assert talk.receive() == f"wrote {len(data)}"

    assert (tmp_path / "archive").read_bytes() == data[::-1]


def test_command_in_a_container_is_spoken_to_alike(client: Client) -> None:
    script = client(ECHOES)
    with DockerEngine().exec_interactive("one", ["psql"]) as talk:
        talk.send("select 1")

        assert talk.receive() == "heard select 1"
    assert script.words == ["exec", "--interactive", "one", "psql"]


def test_data_that_ends_too_early_is_an_error(client: Client) -> None:
    client(STREAMS)
    with (
        pytest.raises(EngineError, match="ended 2 bytes too early"),
        DockerEngine().run_interactive(SPEC) as talk,
    ):
        talk.send_bytes(io.BytesIO(b"abc"), 5)


def test_silence_has_an_end(client: Client) -> None:
    client("sys.stdin.read()\n")
    with (
        pytest.raises(EngineError, match=r"said nothing for 0\.2 s"),
        DockerEngine().run_interactive(SPEC) as talk,
    ):
        talk.receive(timeout=0.2)


@pytest.mark.parametrize("has_output", [False, True])
@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("os.kill(os.getpid(), 9)\n", "killed by signal 9"),
        ("sys.exit('docker: Error response from daemon: no space.')\n", "no space"),
        ("sys.exit(1)\n", "exited unexpectedly"),
    ],
)
def test_unexpected_end_is_named(
    client: Client, tmp_path: Path, body: str, wanted: str, *, has_output: bool
) -> None:
    client(f"if sys.argv[1] == 'run':\n    {body}")
    with (
        (tmp_path / "out").open("wb") as out,
        DockerEngine().run_interactive(
            SPEC, output=out if has_output else None
        ) as talk,
        pytest.raises(EngineError, match=wanted),
    ):
        talk.receive()


def test_container_whose_client_failed_is_removed(client: Client) -> None:
    script = client("sys.exit(sys.argv[1] == 'run')\n")
    with DockerEngine().run_interactive(SPEC):
        pass

    assert [words[:2] for words, _, _ in script.runs][-1] == ["rm", "--force"]
