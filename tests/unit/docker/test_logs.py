"""Logs are printed with secrets replaced, however they arrive."""

from collections.abc import Iterator

import pytest
from docker_script import Client

from compose_ops import redaction
from compose_ops.docker.client import DockerEngine

SECRET = "planted-marker-7141"


@pytest.fixture(autouse=True)
def learned() -> Iterator[None]:
    redaction.learn(SECRET)
    redaction.learn("first line of a key\nsecond line of a key")
    yield
    redaction.forget()


def followed(script: str, client: Client) -> tuple[int, str, str]:
    client(script)
    said: list[str] = []
    errors: list[str] = []
    code = DockerEngine(project="trial").follow_logs(
        ["app"], tail=5, follow=True, write=said.append, write_error=errors.append
    )
    return code, "".join(said), "".join(errors)


def test_marker_that_is_split_between_chunks_is_replaced(client: Client) -> None:
    script = f"""
for piece in ("app-1  | is {SECRET[:7]}", "{SECRET[7:]} here\\n", "no end {SECRET}"):
    sys.stdout.write(piece)
    sys.stdout.flush()
    time.sleep(0.05)
sys.exit("refused: {SECRET}")
"""
    code, said, errors = followed(script, client)

    assert code == 1
    assert said == "app-1  | is [redacted] here\nno end [redacted]"
    assert errors == "refused: [redacted]\n"


def test_lines_of_a_secret_are_replaced_behind_prefixes(client: Client) -> None:
    """Compose writes the name of a container before each line."""
    script = """
print("app-1  | first line of a key")
print("app-1  | second line of a key")
"""
    _, said, _ = followed(script, client)

    assert said == "app-1  | [redacted]\napp-1  | [redacted]\n"


def test_what_the_reader_refuses_ends_the_client(client: Client) -> None:
    script = client("print('one', flush=True)\ntime.sleep(60)\n")

    def refuse(_text: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        DockerEngine(project="trial").follow_logs(
            [], tail=None, follow=True, write=refuse, write_error=refuse
        )
    assert not script.is_alive()


def test_line_without_an_end_is_printed_and_hides_its_secret() -> None:
    """It is held back no longer than any secret could be."""
    stream = redaction.Stream()
    text = "x" * (redaction.LONGEST - 5) + SECRET + "y" * 2 * redaction.LONGEST

    pieces = [text[at : at + 1000] for at in range(0, len(text), 1000)]
    said = [stream.feed(piece) for piece in pieces]

    assert sum(map(len, said)) > redaction.LONGEST
    assert SECRET not in "".join(said) + stream.end()
