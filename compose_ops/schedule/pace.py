"""When a job runs: one word or two, as systemd, as cron, and on the calendar."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from compose_ops.errors import ConfigurationError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LAST_DAY = 28
"""The last day of the month that every month has."""
_PACE = re.compile(
    r"(?:(?P<days>[A-Za-z]{3}(?:,[A-Za-z]{3})*)\s+|(?P<date>\d{1,2})\s+)?"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})"
)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pace:
    """
    When a job runs, in the machine's time zone.

    `days` are those of the week, 0 for Monday, empty for every day; `date` is the day
    of the month, 0 for every day. Without `hour` it is each hour at `minute`.
    """

    minute: int
    hour: int | None = None
    days: tuple[int, ...] = ()
    date: int = 0

    @property
    def on_calendar(self) -> str:
        """
        The pace as systemd's `OnCalendar=` has it.

        >>> pace("Sun 04:00").on_calendar
        'Sun *-*-* 04:00:00'
        """
        days = ",".join(DAYS[day] for day in self.days)
        date = f"{self.date:02}" if self.date else "*"
        hour = "*" if self.hour is None else f"{self.hour:02}"
        return f"{days} *-*-{date} {hour}:{self.minute:02}:00".lstrip()

    @property
    def cron(self) -> str:
        """
        The five fields of a crontab.

        >>> pace("Sun 04:00").cron
        '0 4 * * 0'
        """
        days = ",".join(str((day + 1) % 7) for day in self.days) or "*"
        hour = "*" if self.hour is None else self.hour
        return f"{self.minute} {hour} {self.date or '*'} * {days}"

    def next(self, now: datetime) -> datetime:
        """Return the first time after *now*, an aware time."""
        return next(time for time in self._times(now, _DAY) if time > now)

    def previous(self, now: datetime) -> datetime:
        """Return the last time that is not after *now*, an aware time."""
        return next(time for time in self._times(now, -_DAY) if time <= now)

    def _times(self, now: datetime, step: timedelta) -> Iterator[datetime]:
        """Yield each time from the day of *now* on, forwards or backwards."""
        local = now.astimezone()
        hours = range(24) if self.hour is None else [self.hour]
        for number in range(64):
            day = (local + number * step).date()
            if (self.date and day.day != self.date) or (
                self.days and day.weekday() not in self.days
            ):
                continue
            times = [
                datetime(day.year, day.month, day.day, hour, self.minute).astimezone()
                for hour in hours
            ]
            yield from times if step > timedelta() else reversed(times)


def pace(text: str, *, key: str = "schedule") -> Pace:
    """
    Return what a pace of `[schedule]` means; *key* names it in an error.

    Raises ConfigurationError for what is none.

    >>> pace("02:30").cron
    '30 2 * * *'
    """
    if text == "hourly":
        return Pace(minute=0)
    found = _PACE.fullmatch(text.strip())
    if found is None:
        raise _wrong(text, key)
    names = [day.capitalize() for day in (found["days"] or "").split(",") if day]
    known = {name: number for number, name in enumerate(DAYS)}
    if not known.keys() >= set(names):
        raise _wrong(text, key)
    made = Pace(
        minute=int(found["minute"]),
        hour=int(found["hour"]),
        days=tuple(sorted({known[name] for name in names})),
        date=int(found["date"] or 0),
    )
    bad_date = found["date"] is not None and not 1 <= made.date <= LAST_DAY
    if bad_date or made.minute > 59 or (made.hour or 0) > 23:  # noqa: PLR2004 - a clock
        raise _wrong(text, key)
    return made


def _wrong(text: str, key: str) -> ConfigurationError:
    return ConfigurationError(
        f"{key} of compose-ops.toml is {text!r:.40}, which is no pace",
        hint='"hourly", "02:30", "Sun 04:00", "Mon,Thu 04:00", "1 05:00"; "" is never',
    )
