"""Names, logs and errors of others are data in whatever is printed."""

import io
import random
import re
import sys

import pytest

from compose_ops import console, redaction
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


LOG = "app  | \x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J \rgone \x9b1m \u202e end\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_log_of_a_container_does_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    is_terminal: bool,
) -> None:
    """Colours stay where somebody sees them, however the text is split."""
    monkeypatch.setattr(console, "_is_terminal", lambda _stream: is_terminal)
    stream = redaction.Stream()

    for piece in LOG:
        whole = stream.feed(piece)
        console.show_raw(whole)
        console.say_raw(whole)

    out, err = capsys.readouterr()
    assert out == err
    assert ("\x1b[31mred\x1b[0m" if is_terminal else "| red ") in out
    assert FORBIDDEN.search(re.sub(r"\x1b\[[0-9]+m", "", out)) is None
    assert "\\x1b]0;title\\x07" in out
