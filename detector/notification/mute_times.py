"""Mute times: named schedules by which incidents are kept from people, by the wall clock of a time zone.

Where the clock is put forward, the times that it leaps over do not come; where it is put back, those that come twice
hold twice.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from detector.config import mute_times as config
from detector.config.mute_times import Range

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Times:
    """Times of the week, as numbers: weekdays from 0 (Monday), months from 1, times of day in minutes.

    Where a tuple is empty, any will do. A range may go over its end (22:00-06:00, saturday:monday); days of the month
    below 0 count from the month's end.
    """

    weekdays: tuple[Range, ...] = ()
    times: tuple[Range, ...] = ()
    days_of_month: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()

    @classmethod
    def of(cls, section: config.Times) -> Self:
        """Read a section of the configuration, which has been judged."""
        return cls(
            tuple(map(config.read_weekdays, section.weekdays)),
            tuple(map(config.read_times, section.times)),
            tuple(map(config.read_days_of_month, section.days_of_month)),
            tuple(map(config.read_months, section.months)),
        )

    def hold(self, day: date, minute: int) -> bool:
        """Tell whether a minute of a day is among them."""
        if not self.times:
            return self._on(day)
        return any(
            (begin <= minute < end and self._on(day))
            if begin < end
            else (minute >= begin and self._on(day)) or (minute < end and self._on(day - _DAY))
            for begin, end in self.times
        )

    def _on(self, day: date) -> bool:
        return (
            _among(day.weekday(), self.weekdays)
            and _among(day.month, self.months)
            and (not self.days_of_month or any(_within_month(day, days) for days in self.days_of_month))
        )


@dataclass(frozen=True, slots=True)
class MuteTime:
    """A named schedule."""

    name: str
    zone: ZoneInfo
    when: tuple[Times, ...]

    @classmethod
    def of(cls, section: config.MuteTime) -> Self:
        """Read a section of the configuration, which has been judged."""
        return cls(section.name, ZoneInfo(section.time_zone), tuple(map(Times.of, section.when)))

    def holds(self, now: float) -> bool:
        """Tell whether it holds at an instant, in epoch seconds."""
        local = datetime.fromtimestamp(now, self.zone)
        return any(times.hold(local.date(), local.hour * 60 + local.minute) for times in self.when)


def _among(number: int, ranges: Sequence[Range]) -> bool:
    return not ranges or any(
        begin <= number <= end if begin <= end else number >= begin or number <= end for begin, end in ranges
    )


def _within_month(day: date, days: Range) -> bool:
    length = monthrange(day.year, day.month)[1]
    begin, end = (number if number > 0 else length + 1 + number for number in days)
    return begin <= day.day <= end
