"""The server's messages of the PostgreSQL wire."""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from questdb_standin.pgvalues import OIDS
from questdb_standin.sql import Answer
from questdb_standin.values import wire_text


def message(kind: bytes, body: bytes = b"") -> bytes:
    """One message with its length."""
    return kind + struct.pack(">I", len(body) + 4) + body


def failure(text: str, position: int = 0, *, severity: str = "ERROR") -> bytes:
    """Return an ErrorResponse; QuestDB sends the code 00000."""
    fields = {"S": severity, "C": "00000", "M": text, "P": str(position + 1)}
    body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items())
    return message(b"E", body + b"\0")


def row_description(answer: Answer) -> bytes:
    """Return the columns of an answer; all are sent as text."""
    parts = [struct.pack(">H", len(answer.columns))]
    for number, column in enumerate(answer.columns):
        kind = OIDS.get(column.kind, OIDS["STRING"])
        parts.append(column.name.encode() + b"\0")
        parts.append(struct.pack(">IHIhih", 0, number + 1, kind, -1, -1, 0))
    return message(b"T", b"".join(parts))


def data_row(answer: Answer) -> Callable[[Sequence[Any]], bytes]:
    """Return a function that encodes rows of *answer* as text."""

    def encode(row: Sequence[Any]) -> bytes:
        parts = [struct.pack(">H", len(row))]
        for value, column in zip(row, answer.columns, strict=True):
            text = wire_text(value, column.kind)
            size = -1 if text is None else len(text)
            parts.append(struct.pack(">i", size) + (text or b""))
        return message(b"D", b"".join(parts))

    return encode


def complete(answer: Answer, rows: int) -> bytes:
    """Return what ends an answer of which *rows* were sent."""
    tag = answer.done
    if answer.columns:
        tag = f"SELECT {rows}"
    elif tag == "INSERT":
        tag = f"INSERT 0 {answer.changed}"
    return message(b"C", tag.encode() + b"\0")
