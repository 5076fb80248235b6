"""Pages about updates and sets: whole, self-contained, and nobody's markup in them."""

import base64
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path

import pytest
from report_samples import NOW, outcome, sets

from compose_ops.cli.output import rollout
from compose_ops.errors import OutputError, RolledBack, UsageError
from compose_ops.report.file import check_path, write
from compose_ops.report.html import node
from compose_ops.report.sets_page import sets_page
from compose_ops.report.update_page import update_page

PLANTED = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>]]>&lt;\x00\udcff"
CHROMIUM = shutil.which("chromium")


def failed(text: str) -> str:
    error = RolledBack(f"not updated {text}", hint=f"do {text}", detail=f"log {text}")
    return update_page(f"app{text}", outcome(text, failed=True), error)


def of_sets(text: str) -> str:
    return sets_page(f"trial{text}", Path(f"/sets{text}"), sets(text), now=NOW)


PAGES: dict[str, Callable[[str], str]] = {
    "updated": lambda text: update_page("app", outcome(text)),
    "failed": failed,
    "refused": lambda text: update_page("app", None, UsageError(text, hint=text)),
    "sets": of_sets,
    "no sets": lambda text: sets_page("trial", Path(text), [], now=NOW),
}


class Read(HTMLParser):
    """What a browser would make of a page: its elements, and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = [""]
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in self._open
        while self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open[-1], []).append(data)


@pytest.mark.parametrize("kind", PAGES)
def test_foreign_text_stays_text(kind: str) -> None:
    """Whatever a container, an image, a log or a manifest says of itself."""
    plain, planted = (Read(PAGES[kind](t)) for t in ("p" * len(PLANTED), PLANTED))

    assert "<script" not in PAGES[kind](PLANTED)
    assert [tag for tag, _ in planted.tags] == [tag for tag, _ in plain.tags]
    assert [*map(set, (a for _, a in planted.tags))] == [
        *map(set, (a for _, a in plain.tags))
    ]


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_needs_nothing_and_runs_nothing(kind: str) -> None:
    """Its policy allows its one style sheet, by hash; it refers to nothing outside."""
    text = PAGES[kind](PLANTED)
    read = Read(text)
    [policy] = [
        a["content"]
        for tag, a in read.tags
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    [style] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()

    assert str(policy).split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    names = {name for _, attributes in read.tags for name in attributes}
    assert not {n for n in names if n.startswith("on")} | names & {
        *("style", "src", "href", "srcset", "action")
    }
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in read.tags}
    assert "@import" not in style
    assert not re.findall(r"url\((?!#)", style)


def test_raw_elements_are_refused() -> None:
    """Their text is not escaped: nobody can write one by mistake."""
    with pytest.raises(ValueError, match="not be escaped"):
        node("SCRIPT", "alert(1)")


def test_the_versions_are_told_apart_by_more_than_colour() -> None:
    """One is hatched, and both are named."""
    text = PAGES["updated"]("")

    assert 'id="hatch"' in text
    assert "bar-new { fill: url(#hatch)" in text
    assert text.count("(old version)") >= 2
    assert text.count("(new version)") >= 2
    assert "prefers-color-scheme: dark" in text


def test_a_failed_update_shows_what_failed_and_what_to_do() -> None:
    words = " ".join(chain.from_iterable(Read(failed("")).texts.values()))

    assert "exit code 8" in words
    assert "What to do: do" in words
    assert words.count("GET / answered 500") == 8
    assert "put the old version back" in words


def test_secrets_are_redacted() -> None:
    """Also those that only a log line shows."""
    text = failed(" --password quite-secret ")

    assert "log  --password [redacted]" in text
    assert "quite-secret" not in text


def test_sets_show_size_downtime_and_how_proven_they_are() -> None:
    read = Read(of_sets(""))
    cells = " ".join(read.texts["td"])

    assert "5.0 MiB" in cells
    assert "4.0 s" in cells
    assert "drill failed 2026-11-27 11:00: db counts 1" in cells
    assert "does not match" in cells


@pytest.mark.parametrize(
    "name", ["report.txt", "nowhere/report.html", "folder.html", "closed/report.html"]
)
def test_a_page_that_cannot_be_written_is_refused_first(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "closed").write_text("no folder")

    with pytest.raises(UsageError, match="no page can be written"):
        check_path(str(tmp_path / name))


def test_a_page_is_written_for_its_owner(tmp_path: Path) -> None:
    path = check_path(str(tmp_path / "report.html"))
    assert path

    write(path, "<p>")

    assert path.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [path]


def test_an_update_that_failed_has_a_page(tmp_path: Path) -> None:
    """And its error goes on."""

    def fails() -> None:
        error = RolledBack("the new container is not healthy")
        error.outcome = outcome(failed=True)
        raise error

    with pytest.raises(RolledBack):
        rollout.run(fails, "app", None, str(tmp_path / "report.html"))  # type: ignore[arg-type]

    assert "the new container is not healthy" in (tmp_path / "report.html").read_text()
    with pytest.raises(OutputError):
        write(tmp_path / "gone" / "report.html", "")


def test_newest_set_is_the_first_whatever_the_clock_said() -> None:
    newest, old, *rest = sets()
    assert old.manifest is not None
    ahead = (NOW + timedelta(days=30)).isoformat()
    old = replace(old, manifest=replace(old.manifest, created=ahead))

    page = Read(sets_page("trial", Path("/sets"), [newest, old, *rest], now=NOW))

    assert page.texts["dd"] == Read(of_sets("")).texts["dd"]


@pytest.mark.skipif(not CHROMIUM, reason="there is no chromium")
@pytest.mark.parametrize("kind", ["failed", "sets"])
def test_a_browser_has_nothing_to_say(tmp_path: Path, kind: str) -> None:
    """No error on its console, and no planted script ran: a refusal would be one."""
    page = tmp_path / "report.html"
    page.write_text(PAGES[kind](PLANTED))
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr")

    done = subprocess.run(
        [
            str(CHROMIUM),
            *flags,
            f"--user-data-dir={tmp_path}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "Rolling update of" in done.stdout or "Backups of" in done.stdout
    assert "CONSOLE" not in done.stderr
