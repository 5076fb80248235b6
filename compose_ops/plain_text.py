r"""
Foreign text made safe to print: names, logs, labels and errors of others are data.

A control character moves the cursor, changes colours or ends a line where nobody
expects it, and a mark of direction shows a name as another one. They are printed as
what they are: `\\x1b`.
"""

import re

_MARKS = "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_CONTROL = re.compile(rf"[\x00-\x1f\x7f-\x9f{_MARKS}]")
_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_MARKS}]")
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_BYTES = range(0xDC80, 0xDD00)
"""What Python makes of bytes that are no text, in names of files."""


def plain(text: str) -> str:
    r"""
    Return text as one line with control characters and marks of direction escaped.

    >>> plain("web\x1b[2J")
    'web\\x1b[2J'
    """
    return _CONTROL.sub(_escaped, text)


def plain_lines(text: str) -> str:
    """Return the same of text of several lines, which keeps its lines and tabs."""
    return _IN_LINES.sub(_escaped, text.replace("\r\n", "\n"))


def plain_colours(text: str, *, keep: bool) -> str:
    r"""
    Return the same of text of several lines whose colours are kept, or left out.

    >>> plain_colours("\x1b[31mred\x1b[0m \x1b[2J", keep=False)
    'red \\x1b[2J'
    """
    parts = _COLOUR.split(text)
    colours = _COLOUR.findall(text) if keep else [""] * (len(parts) - 1)
    pairs = zip(map(plain_lines, parts), [*colours, ""], strict=True)
    return "".join(part + colour for part, colour in pairs)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code & 0xFF if code in _BYTES else code:02x}"
