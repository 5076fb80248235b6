"""A pace means the same to systemd, to cron and to the calendar."""

import shutil
import subprocess
import time
from datetime import UTC, datetime

import pytest

from compose_ops.errors import ConfigurationError
from compose_ops.schedule.pace import pace

NOW = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("text", "calendar", "cron"),
    [
        ("hourly", "*-*-* *:00:00", "0 * * * *"),
        ("02:30", "*-*-* 02:30:00", "30 2 * * *"),
        ("Sun 04:00", "Sun *-*-* 04:00:00", "0 4 * * 0"),
        ("thu,Mon 4:05", "Mon,Thu *-*-* 04:05:00", "5 4 * * 1,4"),
        ("28 23:59", "*-*-28 23:59:00", "59 23 28 * *"),
    ],
)
def test_pace_is_written_for_both(text: str, calendar: str, cron: str) -> None:
    found = pace(text)

    assert (found.on_calendar, found.cron) == (calendar, cron)


@pytest.mark.parametrize(
    ("text", "previous", "following"),
    [
        ("hourly", "2026-11-28 12:00", "2026-11-28 13:00"),
        ("02:30", "2026-11-28 02:30", "2026-11-29 02:30"),
        ("Sat 12:30", "2026-11-28 12:30", "2026-12-05 12:30"),
        ("Mon,Thu 04:00", "2026-11-26 04:00", "2026-11-30 04:00"),
        ("1 05:00", "2026-11-01 05:00", "2026-12-01 05:00"),
    ],
)
def test_last_and_next_time_are_known(
    text: str, previous: str, following: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    found = pace(text)

    assert f"{found.previous(NOW).astimezone(UTC):%F %H:%M}" == previous
    assert f"{found.next(NOW).astimezone(UTC):%F %H:%M}" == following


@pytest.mark.parametrize("text", ["hourly", "02:30", "Mon,Thu 04:00", "28 05:00"])
def test_systemd_agrees_with_the_calendar(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `--status` calls the next run is the one that systemd would choose."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    found, now = pace(text), datetime.now(UTC)
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--base-time=now", found.on_calendar],
        capture_output=True,
        text=True,
        check=True,
        env={"TZ": "UTC", "PATH": "/usr/bin:/bin", "LANG": "C"},
    )
    said = next(line for line in done.stdout.splitlines() if "Next elapse" in line)
    told = datetime.strptime(f"{said.partition(': ')[2]}+0000", "%a %Y-%m-%d %X UTC%z")

    assert found.next(now) == told


@pytest.mark.parametrize(
    "text",
    [
        "daily",
        "24:00",
        "2:5",
        "02:60",
        "0 05:00",
        "29 05:00",
        "Sunday 04:00",
        "Son 4:00",
    ],
)
def test_what_is_no_pace_is_refused_with_its_key(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"schedule\.drill") as refused:
        pace(text, key="schedule.drill")

    assert "02:30" in refused.value.hint
