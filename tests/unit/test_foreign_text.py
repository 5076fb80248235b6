"""Names, logs and errors of others are data in whatever is printed."""

import io
import random
import re
import sys

import pytest

from compose_ops import console
from compose_ops.errors import ComposeOpsError
from compose_ops.plain_text import plain, plain_lines

PIECES = [
    *("[bold]", "[/red]", "[link=file:///etc]x[/link]", "[", "]]", ":warning:", "\\["),
    *("{0}", "{name!r}", "{{", "%s", "%(x)d", "%n", "*", "?", "[!a]", "-rf", "--help"),
    *("\x1b[2J", "\x1b]0;title\x07", "\r", "\b", "\x00", "\x7f", "\x9b31m", "\u202e"),
    *(
        "\u2028",
        "\ufeff",
        "\udcff",
        "\ud800",
        "ü",
        "日本",
        "🐳",
        "'",
        '"',
        "$(id)",
        "`id`",
    ),
    *("::error::x", "\t", " ", "/../", "\\x1b", "&amp;", "<b>", "web", "1", "invoke "),
]
FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\ud800-\udfff]")


def foreign(seed: int) -> str:
    pick = random.Random(seed)
    return "".join(pick.choices(PIECES, k=pick.randint(1, 8)))


def narrow(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Return what standard streams of the narrowest encoding get from now on."""
    kept = io.BytesIO()
    for name in ("stdout", "stderr"):
        stream = io.TextIOWrapper(kept, encoding="ascii", write_through=True)
        monkeypatch.setattr(sys, name, stream)
    console.attach()
    return kept


@pytest.mark.parametrize("seed", range(60))
def test_foreign_text_acts_on_nothing_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    text = foreign(seed)
    stdout = narrow(monkeypatch)

    console.table(f"of {text}", ["name"], [[f"begin {text} end"]])
    console.show(text)
    console.say(f"{ComposeOpsError(text, hint=text, detail=text)}")

    printed = stdout.getvalue().decode("ascii")
    assert FORBIDDEN.search(printed) is None
    assert "begin" in printed
    visible = "".join(plain_lines(text).split())
    shown = visible.encode("ascii", errors="backslashreplace").decode()
    assert shown in "".join(printed.split())


def test_bytes_of_a_name_are_shown_as_bytes() -> None:
    assert plain("caf\udce9\n") == "caf\\xe9\\x0a"


def test_closed_streams_are_no_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `cron` and `>&-` leave them."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)

    assert not console.shows_progress()
    assert not console.confirm("Remove all?", yes=False)
    console.say("nobody hears it")
    with console.health_progress() as report:
        report([])
    console.table("", ["a"], [["b"]])
    with pytest.raises(console.OutputLostError):
        console.require_output()
