"""Foreign text made safe for a terminal and for commands of a CI log."""

import re

_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(text: str) -> str:
    """Return text with control characters and text direction marks escaped."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def annotation_data(text: str) -> str:
    """Return text for the message of a workflow command."""
    for char, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(char, code)
    return plain(text).replace("::", ":%3A")


def annotation_property(text: str) -> str:
    """Return text for a property of a workflow command."""
    return annotation_data(text).replace(":", "%3A").replace(",", "%2C")
