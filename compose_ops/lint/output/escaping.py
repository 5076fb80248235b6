"""Foreign text made safe for a terminal and for commands of a CI log."""

from compose_ops.plain_text import plain

__all__ = ["annotation_data", "annotation_property", "plain"]


def annotation_data(text: str) -> str:
    """Return text for the message of a workflow command."""
    for char, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(char, code)
    return plain(text).replace("::", ":%3A")


def annotation_property(text: str) -> str:
    """Return text for a property of a workflow command."""
    return annotation_data(text).replace(":", "%3A").replace(",", "%2C")
