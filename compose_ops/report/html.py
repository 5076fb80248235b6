"""
Pages as trees of elements: every text and attribute is escaped as a page is written.

There is no way to put markup into a page as text, and secrets are redacted in all text.
The one that is written as it stands is this package's style sheet, whose hash the
page's policy allows; nothing else is loaded, and no script runs.
"""

import base64
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree as ET

from compose_ops.redaction import clean

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")

RAW = frozenset({"script", "style", "iframe", "noscript", "plaintext", "xmp"})

Child = ET.Element | str | None
"""What an element holds; None is left out."""


def node(tag: str, *children: Child, **attributes: object) -> ET.Element:
    """
    Return an element; `class_` is its class, and other underscores are hyphens.

    Raises ValueError for an element whose text HTML takes as it stands.

    >>> ET.tostring(node("p", "1 < 2 ", node("b", "ok"), class_="note"), "unicode")
    '<p class="note">1 &lt; 2 <b>ok</b></p>'
    """
    if tag.lower() in RAW:
        raise ValueError(f"the text of <{tag}> would not be escaped")
    given = {
        key.rstrip("_").replace("_", "-"): _clean(_word(value))
        for key, value in attributes.items()
        if value is not None
    }
    found = ET.Element(tag, given)
    for child in children:
        if isinstance(child, ET.Element):
            found.append(child)
        elif child and len(found):
            found[-1].tail = (found[-1].tail or "") + _clean(child)
        elif child:
            found.text = (found.text or "") + _clean(child)
    return found


def page(title: str, *body: Child) -> str:
    """Return a whole page; its policy allows its own style sheet and nothing else."""
    policy = (
        f"default-src 'none'; style-src '{style_hash()}'; "
        "base-uri 'none'; form-action 'none'"
    )
    style = ET.Element("style")
    style.text = STYLE
    head = node(
        "head",
        node("meta", charset="utf-8"),
        node("meta", http_equiv="Content-Security-Policy", content=policy),
        node("meta", name="viewport", content="width=device-width, initial-scale=1"),
        node("meta", name="color-scheme", content="light dark"),
        node("meta", name="referrer", content="no-referrer"),
        node("title", title),
        style,
    )
    root = node("html", head, node("body", node("main", *body)), lang="en")
    return "<!DOCTYPE html>\n" + ET.tostring(root, encoding="unicode", method="html")


def style_hash() -> str:
    """Return the style sheet's hash as a policy names it."""
    return "sha256-" + base64.b64encode(sha256(STYLE.encode()).digest()).decode()


def rows(head: list[str], lines: list[list[str]]) -> ET.Element:
    """Return a table; a cell that is a number stands to the right."""
    columns = node("tr", *(node("th", text, scope="col") for text in head))
    body = [node("tr", *map(_cell, line)) for line in lines]
    table = node("table", node("thead", columns), node("tbody", *body))
    return node("div", table, class_="wide")


def facts(pairs: list[tuple[str, str]]) -> ET.Element:
    """Return names with their values."""
    cells = (node("div", node("dt", name), node("dd", value)) for name, value in pairs)
    return node("dl", *cells)


def folded(summary: str, *content: Child) -> ET.Element:
    """Return what is opened by a click on *summary*."""
    return node("details", node("summary", summary), *content)


def _cell(text: str) -> ET.Element:
    return node("td", text, class_="number" if _is_number(text) else None)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).strip().isdecimal()


def _word(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def _clean(text: str) -> str:
    """Redact secrets, and replace what HTML cannot hold, such as control characters."""
    whole = clean(text).encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in whole)
