"""Bolt's encoding and handshake in the Memgraph stand-in."""

import pytest
from memgraph_standin.bolt_wire import choose_version
from memgraph_standin.packstream import PackError, Structure, pack, unpack


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, 1.5, "", "é" * 15, "x" * 16, "x" * 300, "x" * 70_000),
        *(0, -1, -16, -17, 127, 128, -128, -129, 2**15, -(2**31), 2**63 - 1, -(2**63)),
        *(
            [],
            list(range(20)),
            {"a": [1, {"b": None}]},
            dict.fromkeys("abcdefghijklmnopq"),
        ),
        Structure(0x4E, (1, ["L"], {}, "1")),
    ],
)
def test_every_value_survives(value: object) -> None:
    """Packing and unpacking are inverse, at every boundary of a size."""
    assert value == unpack(pack(value))


@pytest.mark.parametrize("data", [b"", b"\x85abc", b"\xc9\x00", b"\xc7", b"\x01\x01"])
def test_other_bytes_are_no_value(data: bytes) -> None:
    """Cut, unknown and superfluous bytes are told apart from values."""
    with pytest.raises(PackError):
        unpack(data)


def test_what_bolt_cannot_carry_is_refused() -> None:
    """Integers beyond 64 bits and foreign types."""
    for value in (2**63, object()):
        with pytest.raises(PackError):
            pack(value)


@pytest.mark.parametrize(
    ("proposals", "chosen"),
    [
        (bytes.fromhex("000001ff 00080805 00020404 00000003"), (5, 2)),
        (b"\0\0\3\4" + bytes(12), (4, 3)),
        (b"\0\0\1\4" + bytes(12), None),
    ],
)
def test_the_newest_common_version_is_chosen(
    proposals: bytes, chosen: tuple[int, int] | None
) -> None:
    """The neo4j driver's ranges, an old client's single version, and no match."""
    assert chosen == choose_version(proposals)
