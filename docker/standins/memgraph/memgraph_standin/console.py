"""`mgconsole`: run the queries of stdin, print their rows, exit 1 on an error."""

import argparse
import csv
import re
import socket
import ssl
import struct
import sys
from io import BufferedRWPair
from typing import Any

from memgraph_standin.packstream import PackError, Structure, pack, unpack

_MAGIC = b"\x60\x60\xb0\x17"
_PROPOSALS = bytes([0, 0, 3, 4]) + bytes(12)
_SUCCESS, _RECORD = 0x70, 0x71
TIMEOUT = 60  # seconds without a byte; a frozen server ends in exit 1


class ConsoleError(Exception):
    """No connection, or a query that failed; the text is for the user."""


def main(arguments: list[str]) -> int:
    """Run every query of stdin; 0 when all succeeded, 1 at the first that did not."""
    options = _parser().parse_args(arguments)
    try:
        with _connect(options) as connection, connection.makefile("rwb") as stream:
            _handshake(stream)
            _request(stream, 0x01, _greeting(options))
            for query in split_queries(sys.stdin.read()):
                _print(*_run(stream, query), form=options.output_format)
    except (OSError, EOFError, ConsoleError, PackError, struct.error) as error:
        print(f"Client received query exception: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mgconsole", description="Stand-in for Memgraph's mgconsole."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7687)
    parser.add_argument("--username", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--use-ssl", "--use_ssl", nargs="?", const="true", default="")
    parser.add_argument("--output-format", "--output_format", default="tabular")
    return parser


def split_queries(text: str) -> list[str]:
    """Return the queries of *text*, which end at semicolons outside quotes."""
    pieces = re.findall(r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^;"'])+""", text)
    return [piece.strip() for piece in pieces if piece.strip()]


def _connect(options: argparse.Namespace) -> socket.socket:
    address = (options.host, options.port)
    connection = socket.create_connection(address, timeout=TIMEOUT)
    if options.use_ssl.lower() not in ("true", "1", "yes"):
        return connection
    context = ssl.create_default_context()
    context.check_hostname = False  # the real one trusts on first use
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=options.host)


def _greeting(options: argparse.Namespace) -> dict[str, str]:
    greeting = {"user_agent": "mgconsole-standin", "scheme": "none"}
    if options.username:
        greeting["scheme"] = "basic"
        greeting |= {"principal": options.username, "credentials": options.password}
    return greeting


def _handshake(stream: BufferedRWPair) -> None:
    stream.write(_MAGIC + _PROPOSALS)
    stream.flush()
    if _exactly(stream, 4) != bytes([0, 0, 3, 4]):
        raise ConsoleError("the server speaks no Bolt 4.3")


def _run(stream: BufferedRWPair, query: str) -> tuple[list[str], list[list[Any]]]:
    head = _request(stream, 0x10, query, {}, {})
    _send(stream, 0x3F, {"n": -1})
    rows = []
    while (answer := _receive(stream)).tag == _RECORD:
        rows.append(answer.fields[0])
    _check(answer)
    return head["fields"], rows


def _request(stream: BufferedRWPair, tag: int, *fields: Any) -> dict[str, Any]:
    _send(stream, tag, *fields)
    answer = _receive(stream)
    _check(answer)
    metadata: dict[str, Any] = answer.fields[0]
    return metadata


def _check(answer: Structure) -> None:
    if answer.tag != _SUCCESS:
        raise ConsoleError(answer.fields[0]["message"] if answer.fields else answer)


def _send(stream: BufferedRWPair, tag: int, *fields: Any) -> None:
    data = pack(Structure(tag, fields))
    for at in range(0, len(data), 0xFFFF):
        chunk = data[at : at + 0xFFFF]
        stream.write(struct.pack(">H", len(chunk)) + chunk)
    stream.write(b"\0\0")
    stream.flush()


def _receive(stream: BufferedRWPair) -> Structure:
    data = b""
    while (size := struct.unpack(">H", _exactly(stream, 2))[0]) or not data:
        data += _exactly(stream, size)
    message = unpack(data)
    if not isinstance(message, Structure):
        raise PackError
    return message


def _exactly(stream: BufferedRWPair, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the server closed the connection")
    return data


def _print(columns: list[str], rows: list[list[Any]], *, form: str) -> None:
    if not columns:
        return
    cells = [columns, *([_text(value) for value in row] for row in rows)]
    if form == "csv":
        csv.writer(sys.stdout).writerows(cells)
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    print(rule)
    for at, row in enumerate(cells):
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("| " + " | ".join(padded) + " |")
        if at == 0:
            print(rule)
    print(rule)


def _text(value: Any) -> str:
    match value:
        case Structure(_, (_, labels, properties, *_)):
            inner = ", ".join(f"{k}: {_text(v)}" for k, v in properties.items())
            return "(" + "".join(f":{label}" for label in labels) + f" {{{inner}}})"
        case str():
            return f'"{value}"'
        case bool() | None:
            return {True: "true", False: "false", None: "Null"}[value]
    return str(value)
