from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from detector.config import mute_times as config
from detector.notification.mute_times import MuteTime


def schedule(*when: dict[str, Any], zone: str = "UTC") -> MuteTime:
    return MuteTime.of(config.MuteTime.model_validate({"name": "n", "time_zone": zone, "when": list(when)}))


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def held(mute_time: MuteTime, *instants: str) -> list[bool]:
    return [mute_time.holds(utc(instant)) for instant in instants]


def test_a_range_of_times_holds_from_its_first_minute_to_before_its_last() -> None:
    lunch = schedule({"times": "12:00-13:30"})
    instants = ("2026-11-25 11:59:59", "2026-11-25 12:00", "2026-11-25 13:29:59.999", "2026-11-25 13:30")
    assert held(lunch, *instants) == [False, True, True, False]


def test_what_goes_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    nights = schedule({"weekdays": ["monday:friday"], "times": ["22:00-06:00"]})
    friday_night = ("2026-11-27 21:59", "2026-11-27 22:00", "2026-11-28 05:59", "2026-11-28 06:00", "2026-11-28 23:00")
    assert held(nights, *friday_night) == [False, True, True, False, False]
    sunday_night = ("2026-11-29 23:00", "2026-11-30 05:00", "2026-11-30 22:00")
    assert held(nights, *sunday_night) == [False, False, True]


def test_a_day_without_times_is_the_whole_day() -> None:
    weekend = schedule({"weekdays": "saturday:sunday"})
    instants = ("2026-11-27 23:59:59", "2026-11-28 00:00", "2026-11-29 23:59:59", "2026-11-30 00:00")
    assert held(weekend, *instants) == [False, True, True, False]
    assert held(schedule({"times": "00:00-24:00"}), "2026-11-28 00:00", "2026-11-28 23:59") == [True, True]


def test_ranges_of_weekdays_and_months_go_over_their_end() -> None:
    assert held(schedule({"weekdays": "sat:mon"}), "2026-11-27", "2026-11-28", "2026-11-30", "2026-12-01") == [
        False,
        True,
        True,
        False,
    ]
    winter = schedule({"months": "november:february"})
    assert held(winter, "2026-10-31", "2026-11-01", "2027-02-28", "2027-03-01") == [False, True, True, False]


def test_days_of_the_month_below_zero_count_from_its_end() -> None:
    closing = schedule({"days_of_month": "-2:-1, 1"})
    assert held(closing, "2028-02-27", "2028-02-28", "2028-02-29", "2028-03-01", "2028-03-02") == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert held(schedule({"days_of_month": "29:31"}), "2026-02-28", "2026-03-28", "2026-03-31") == [False, False, True]
    assert held(schedule({"days_of_month": "20:-1"}), "2026-02-19", "2026-02-20", "2026-02-28") == [False, True, True]


def test_all_that_is_given_must_hold_and_any_of_the_schedules_parts_will_do() -> None:
    both = schedule({"months": [12], "weekdays": "friday"}, {"days_of_month": [24]})
    assert held(both, "2026-12-25", "2026-12-26", "2026-11-27", "2026-11-24") == [True, False, False, True]


def test_times_are_those_of_the_time_zone() -> None:
    nights = schedule({"times": "22:00-06:00", "weekdays": "friday"}, zone="Asia/Tokyo")
    assert held(nights, "2026-11-27 12:59", "2026-11-27 13:00", "2026-11-27 20:59", "2026-11-27 21:00") == [
        False,
        True,
        True,
        False,
    ]


def test_times_that_the_clock_leaps_over_in_spring_do_not_come() -> None:
    # In Berlin 02:00 became 03:00 at 01:00 UTC.
    small_hours = schedule({"times": "02:00-03:30"}, zone="Europe/Berlin")
    assert held(small_hours, "2026-03-29 00:59:59", "2026-03-29 01:00", "2026-03-29 01:29", "2026-03-29 01:30") == [
        False,
        True,
        True,
        False,
    ]
    assert not any(held(schedule({"times": "02:00-03:00"}, zone="Europe/Berlin"), *_minutes("2026-03-29")))


def test_times_that_come_twice_in_autumn_hold_twice() -> None:
    # In Berlin 03:00 became 02:00 at 01:00 UTC: 02:30 is 00:30 UTC, and 01:30 UTC again.
    half_hour = schedule({"times": "02:15-02:45"}, zone="Europe/Berlin")
    assert sum(held(half_hour, *_minutes("2026-10-25"))) == 60
    assert held(half_hour, "2026-10-25 00:14", "2026-10-25 00:15", "2026-10-25 00:45", "2026-10-25 01:15") == [
        False,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 7), ("2026-10-24", 9), ("2026-11-28", 8)])
def test_a_night_has_an_hour_less_in_spring_and_more_in_autumn(day: str, hours: int) -> None:
    nights = schedule({"weekdays": "saturday", "times": "22:00-06:00"}, zone="Europe/Berlin")
    following = datetime.fromisoformat(day).replace(day=int(day[-2:]) + 1).date().isoformat()
    assert sum(held(nights, *_minutes(day), *_minutes(following))) == hours * 60


def _minutes(day: str) -> list[str]:
    return [f"{day} {hour:02}:{minute:02}" for hour in range(24) for minute in range(60)]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"times": "22:00"}, "expected a range of times such as 22:00-06:00, found `22:00`"),
        ({"times": "22:00-25:00"}, "expected a range of times"),
        ({"times": "24:00-06:00"}, "expected a range of times"),
        ({"times": "06:00-06:00"}, "begins and ends at once; the whole day is 00:00-24:00"),
        ({"weekdays": "mo"}, "expected a weekday or a range of them, such as monday:friday, found `mo`"),
        ({"weekdays": "monday:tuesday:friday"}, "expected a weekday"),
        ({"weekdays": [True]}, "valid string"),
        ({"weekdays": True}, "expected a list"),
        ({"months": "13"}, "expected a month or a range of them"),
        ({"months": [63]}, 'such as november:february or "1:3" (in quotes), found `63`'),
        ({"days_of_month": [0]}, "expected days of the month"),
        ({"days_of_month": 65}, 'such as 15, -1 (the last) or "1:5" (in quotes), found `65`'),
        ({"days_of_month": "-1:-3"}, "ends before it begins"),
        ({}, "give at least one of"),
    ],
)
def test_what_is_no_schedule_is_refused_with_what_was_expected(when: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        schedule(when)
    assert said in str(refused.value)


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "../etc/passwd", "Europe", "", "/etc/localtime"])
def test_a_time_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="expected a name such as Europe/Berlin"):
        schedule({"weekdays": "monday"}, zone=zone)
