"""Durations and sizes, both ways."""

import pytest

from compose_ops.units import readable_duration, readable_size, seconds, whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30), ("1m30s", 90), ("1h0m0s", 3600), ("1.5s", 1.5), ("500ms", 0.5)],
)
def test_durations_are_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


def test_no_duration_is_the_default() -> None:
    assert seconds(None, 7) == 7


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, "0 B"), (1536, "1.5 KiB"), (12 * 1024**3, "12.0 GiB"), (1024**4, "1.0 TiB")],
)
def test_sizes_are_readable(size: int, expected: str) -> None:
    assert readable_size(size) == expected


@pytest.mark.parametrize(
    ("span", "expected"), [(5, "5s"), (65, "1m 5s"), (3700, "1h 1m"), (90000, "1d 1h")]
)
def test_spans_are_readable(span: float, expected: str) -> None:
    assert readable_duration(span) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("0", 0), ("0143", 143), ("9" * 18, 10**18 - 1)),
        *((text, None) for text in ("", "-1", "1.0", " 1", "²", "٣", "9" * 5000)),
    ],
)
def test_number_is_of_digits_that_everybody_reads(
    text: str, expected: int | None
) -> None:
    assert whole(text) == expected
