"""The reader of Dockerfiles keeps lines, stages and what FROM means."""

from pathlib import Path

import pytest

from compose_ops.lint.dockerfile import Dockerfile, exec_form, fill, parse

TEXT = """\
# syntax=docker/dockerfile:1
ARG TAG=1.0

FROM example/base:${TAG} AS build
# why
RUN one \\
    # inside
    two

RUN <<EOF
FROM nothing
EOF
COPY --from=other --chmod=755 a b /srv/

FROM build
HEALTHCHECK --interval=5s CMD ["ok"]
CMD ["serve", "--flag=1"]
"""


def parsed(**arguments: str) -> Dockerfile:
    return parse(TEXT, Path("Dockerfile"), arguments=arguments)


def test_instructions_keep_their_first_line() -> None:
    """Continuations, comments within and heredocs belong to their instruction."""
    found = [(i.line, i.keyword) for i in parsed().instructions()]

    assert found == [
        (2, "ARG"),
        (4, "FROM"),
        (6, "RUN"),
        (10, "RUN"),
        (13, "COPY"),
        (15, "FROM"),
        (16, "HEALTHCHECK"),
        (17, "CMD"),
    ]


def test_comments_above_are_kept() -> None:
    """The comment lines right above an instruction are its notes."""
    assert parsed().instructions()[2].notes == ("# why",)


def test_from_is_filled_in_from_arguments() -> None:
    """A build argument goes over the default."""
    assert parsed().stages[0].base == "example/base:1.0"
    assert parsed(TAG="2").stages[0].base == "example/base:2"


def test_chain_ends_at_the_image() -> None:
    """A stage built on a stage leads to the image below."""
    file = parsed()
    last = file.stage(None)

    assert last is not None
    assert [stage.base for stage in file.chain(last)] == ["build", "example/base:1.0"]


def test_flags_are_read_and_a_command_keeps_its_own() -> None:
    """COPY's flags are its own, CMD's belong to the program."""
    copy, command = parsed().instructions()[4], parsed().instructions()[7]

    assert copy.flags == {"from": "other", "chmod": "755"}
    assert copy.words() == ["a", "b", "/srv/"]
    assert command.argv == ("serve", "--flag=1")


@pytest.mark.parametrize("name", ["missing", "7"])
def test_unknown_stage_is_none(name: str) -> None:
    """A name or number that no stage has gives none."""
    assert parsed().stage(name) is None


@pytest.mark.parametrize("text", ["echo [a]", "[1]", "['a']", "[a]"])
def test_shell_forms_are_no_exec_form(text: str) -> None:
    """Only a JSON list of text is an exec form."""
    assert exec_form(text) is None


def test_fill_knows_defaults_and_replacements() -> None:
    """`:-` gives a default, `:+` another value for a set one."""
    assert fill("$A ${A:-b} ${B:-b} ${A:+c}${B:+c}", {"A": "a"}) == "a a b c"
