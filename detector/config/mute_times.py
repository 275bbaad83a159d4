"""Weekly times in which nobody wants to be told: what may stand in them, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from detector.config.section import Section

Range = tuple[int, int]
"""The first and the last of a range; of times of day the minute from which on, and the one before which."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_SHORTEST = 3
"""Letters of a weekday or month that are enough."""
_TIMES = re.compile(r"(\d\d):([0-5]\d)\s*-\s*(\d\d):([0-5]\d)")
_DAY_MINUTES = 24 * 60
_MONTH_DAYS = 31


def read_times(given: str) -> Range:
    """Read "22:00-06:00" as minutes of the day; a range that ends before it begins goes over midnight."""
    message = f"expected a range of times such as 22:00-06:00, found `{given}`"
    match = _TIMES.fullmatch(given.strip())
    if match is None:
        raise ValueError(message)
    begin, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if begin >= _DAY_MINUTES or end > _DAY_MINUTES:
        raise ValueError(message)
    if begin == end:
        message = f"`{given}` begins and ends at once; the whole day is 00:00-24:00"
        raise ValueError(message)
    return begin, end


def read_weekdays(given: str) -> Range:
    """Read "monday" or "monday:friday" as numbers from 0 (Monday); "saturday:monday" goes over the week's end."""
    return _named(given, WEEKDAYS, "a weekday or a range of them, such as monday:friday")


def read_months(given: str | int) -> Range:
    """Read "december", "november:february", 12 or "1:3" as numbers from 1."""
    expected = 'a month or a range of them, such as november:february or "1:3" (in quotes)'
    numbers = {str(number): name for number, name in enumerate(MONTHS, 1)}
    spelled = ":".join(numbers.get(part.strip(), part) for part in str(given).split(":"))
    begin, end = _named(spelled, MONTHS, expected, given)
    return begin + 1, end + 1


def read_days_of_month(given: str | int) -> Range:
    """Read 1, -1 (the last), "1:5" or "-3:-1"; which days those are depends on the month."""
    # Without quotes YAML reads 1:5 as 65, an hour's worth of minutes and seconds.
    message = f'expected days of the month such as 15, -1 (the last) or "1:5" (in quotes), found `{given}`'
    parts = str(given).split(":")
    try:
        begin, end = int(parts[0]), int(parts[-1])
    except ValueError:
        raise ValueError(message) from None
    if len(parts) > 2 or not all(1 <= abs(day) <= _MONTH_DAYS for day in (begin, end)):
        raise ValueError(message)
    if (begin > 0) == (end > 0) and begin > end:
        message = f"the range `{given}` ends before it begins"
        raise ValueError(message)
    return begin, end


def _named(given: str, names: tuple[str, ...], expected: str, shown: str | int = "") -> Range:
    parts = [part.strip().lower() for part in given.split(":")]
    found = [
        [number for number, name in enumerate(names) if len(part) >= _SHORTEST and name.startswith(part)]
        for part in parts
    ]
    if len(parts) > 2 or not all(found):
        message = f"expected {expected}, found `{shown or given}`"
        raise ValueError(message)
    return found[0][0], found[-1][0]


def _listed(given: object) -> object:
    """Turn "monday, friday" into a list, and a number into one of text."""
    if isinstance(given, bool):
        message = "expected a list"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns only ValueError into a located message
    if isinstance(given, str):
        return [part.strip() for part in given.split(",") if part.strip()]
    if isinstance(given, int):
        return [str(given)]
    if isinstance(given, list):
        return [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in given]
    return given


def _checked(read: Callable[[str], Range]) -> AfterValidator:
    def check(given: list[str]) -> list[str]:
        for item in given:
            read(item)
        return given

    return AfterValidator(check)


_LIST = BeforeValidator(_listed)
_NUMBERS_OR_TEXT = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
_SCHEMA = WithJsonSchema({"anyOf": [{"type": "array", "items": _NUMBERS_OR_TEXT}, *_NUMBERS_OR_TEXT["anyOf"]]})


class Times(Section):
    """Times of the week. Of what is given all must hold, each by one of its items."""

    weekdays: Annotated[list[str], _LIST, _checked(read_weekdays), _SCHEMA] = []
    """Weekdays or ranges of them: monday, monday:friday; none = every day."""
    times: Annotated[list[str], _LIST, _checked(read_times), _SCHEMA] = []
    """Times of day, such as 22:00-06:00; what goes over midnight belongs to the day on which it begins; none = the
    whole day."""
    days_of_month: Annotated[list[str], _LIST, _checked(read_days_of_month), _SCHEMA] = []
    """Days of the month: 1, -1 (the last), "1:5", "-3:-1"; none = every day."""
    months: Annotated[list[str], _LIST, _checked(read_months), _SCHEMA] = []
    """Months: december, november:february, 12; none = every month."""

    @model_validator(mode="after")
    def _something(self) -> Times:
        if not (self.weekdays or self.times or self.days_of_month or self.months):
            message = "give at least one of `weekdays`, `times`, `days_of_month` and `months`"
            raise ValueError(message)
        return self


class MuteTime(Section):
    """A schedule of times in which incidents are not told to people."""

    name: Annotated[str, Field(min_length=1)]
    """What routes, metrics and `detector explain` know it by."""
    time_zone: str = "UTC"
    """The time zone of its times, such as Europe/Berlin: daylight saving time is taken into account."""
    when: Annotated[list[Times], Field(min_length=1)]
    """When it holds: in any of these."""

    @field_validator("time_zone")
    @classmethod
    def _known(cls, given: str) -> str:
        try:
            ZoneInfo(given)
        except (KeyError, ValueError, OSError):  # not found (a KeyError), a path, the name of a folder
            message = (
                f"no time zone `{given}` on this machine; expected a name such as Europe/Berlin or UTC "
                "(the package tzdata holds them)"
            )
            raise ValueError(message) from None
        return given
