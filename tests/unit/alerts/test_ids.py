from __future__ import annotations

from detector.alerts.ids import alert_id
from detector.types import Partition, Position


def test_an_id_is_a_function_of_its_place_that_never_changes() -> None:
    # Receivers and stores keep ids over versions: this value must stay.
    assert alert_id("t", Partition("metrics", 3), Position(17, 2), "anomaly") == "9fbb5d518a0b18fe72c60794146bd467"


def test_every_part_of_the_place_counts() -> None:
    places = [
        ("t", Partition("metrics", 3), Position(17, 2), "anomaly"),
        ("u", Partition("metrics", 3), Position(17, 2), "anomaly"),
        ("t", Partition("metric", 3), Position(17, 2), "anomaly"),
        ("t", Partition("metrics", 4), Position(17, 2), "anomaly"),
        ("t", Partition("metrics", 3), Position(18, 2), "anomaly"),
        ("t", Partition("metrics", 3), Position(17, 3), "anomaly"),
        ("t", Partition("metrics", 3), Position(17, 2), "dead_letter"),
        ("t", Partition("metrics", 31), Position(7, 2), "anomaly"),
        ("tm", Partition("etrics", 3), Position(17, 2), "anomaly"),
    ]
    assert len({alert_id(*place) for place in places}) == len(places)
