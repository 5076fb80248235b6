"""The reader of Dockerfiles keeps lines, stages and what FROM means."""

from pathlib import Path

import pytest

from compose_ops.lint.dockerfile import (
    Dockerfile,
    assignments,
    exec_form,
    fill,
    parse,
)
from compose_ops.lint.dockerfile_text import split

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


@pytest.mark.parametrize(
    ("text", "instructions"),
    [
        ("RUN <<EOF\nCOPY a b\nEOF\nUSER x", ["RUN", "USER"]),
        ("RUN <<-EOF\n\tCOPY a b\n\tEOF\nUSER x", ["RUN", "USER"]),
        ('COPY <<"A" <<B /x\none\nA\ntwo\nB\nUSER x', ["COPY", "USER"]),
        ("RUN 3<<EOF cat\nCOPY a b\nEOF\nUSER x", ["RUN", "USER"]),
        ("RUN cat <<< EOF\nUSER x", ["RUN", "USER"]),
        ("RUN echo $((1 << 2))\nUSER x", ["RUN", "USER"]),
        ("RUN cat << EOF\nUSER x", ["RUN", "USER"]),
        ("RUN echo '<<EOF'\nUSER x", ["RUN", "USER"]),
        ("CMD cat <<EOF\nUSER x", ["CMD", "USER"]),
        ("ONBUILD RUN <<EOF\nCOPY a b\nEOF\nUSER x", ["ONBUILD", "USER"]),
        ("# escape=`\nCOPY a C:\\\nUSER x", ["COPY", "USER"]),
        ("# escape=`\nRUN a `\n\n # b\n c\nUSER x", ["RUN", "USER"]),
        ("\n# escape=`\nRUN a \\\n b\nUSER x", ["RUN", "USER"]),
        ("RUN a \\  \n\n\n b\nUSER x", ["RUN", "USER"]),
        ("RUN a \\\\\nUSER x", ["RUN", "USER"]),
        ("\ufeff# syntax=x\r\nRUN a \\\r\n b\r\nUSER x\r\n", ["RUN", "USER"]),
    ],
)
def test_text_is_cut_as_buildkit_cuts_it(text: str, instructions: list[str]) -> None:
    """Heredocs, directives and continuations belong to what they stand in."""
    assert [one.keyword for one in split(text)] == instructions


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${E:-x}${E-x}|${N:-x}${N-x}", "x|xx"),
        ("${A:+y}${E:+y}${E+y}${N+y}", "yy"),
        ("${P#*/}|${P##*/}|${P%/*}|${P%%/*}", "b/c|c|a/b|a"),
        ("${P/b/x}${A/x/y}", "a/x/c1"),
        ("${P//?/x}", "xxxxx"),
        ("${N:-${A}}|\\$A|${A", "1|$A|1"),
        ("${N:?no}", ""),
    ],
)
def test_modifiers_of_variables(text: str, filled: str) -> None:
    """`E` is empty, `N` unset, `A` is 1 and `P` a path."""
    known = {"E": "", "A": "1", "P": "a/b/c"}
    assert fill(text, known) == filled


STAGES = """\
ARG KIND=amd64
FROM alpine AS alpine
FROM alpine AS base-amd64
FROM base-${KIND} AS tools
RUN --mount=type=bind,from=checks,source=/x,target=/y true
FROM debian:12 AS checks
FROM debian:12 AS last
COPY --from=1 /x /y
COPY --from=TOOLS /x /y
COPY --from=registry.example/image:1 /x /y
"""


def test_a_stage_rests_on_earlier_stages_only() -> None:
    """A stage named like its image starts from the image, and names count upwards."""
    file = parse(STAGES, Path("Dockerfile"))
    last = file.stage("last")

    assert last is not None
    assert file.below(file.stages[0]) is None
    assert file.below(file.stages[2]) == file.stages[1]
    assert [one.name for one in file.needed(last)] == [
        "alpine",
        "base-amd64",
        "tools",
        "last",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ENV A=1 B='x y' C=\"z\"", [("A", "1"), ("B", "x y"), ("C", "z")]),
        ("ENV NAME some text", [("NAME", "some text")]),
        ("ARG A B=2", [("A", None), ("B", "2")]),
    ],
)
def test_assignments(text: str, found: list[tuple[str, str | None]]) -> None:
    """ENV and ARG give names with values; ARG may give none."""
    (instruction,) = split(text)

    assert list(assignments(instruction)) == found
