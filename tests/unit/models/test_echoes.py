"""Echoes: for how long rows behind a stray do not count as normal."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.models.echoes import LASTING, follow


def plain(slots: list[int], stray: list[bool], left: dict[int, int]) -> list[bool]:
    """Row by row."""
    echo = []
    for slot, is_stray in zip(slots, stray, strict=True):
        if slot < 0:
            echo.append(False)
            continue
        left[slot] = LASTING if is_stray else left.get(slot, 0)
        echo.append(left[slot] > 0)
        left[slot] = max(left[slot] - 1, 0)
    return echo


ROWS = st.lists(st.tuples(st.integers(-1, 3), st.sampled_from([True, *[False] * 40])), max_size=300)


@given(st.lists(ROWS, min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_it_is_so_many_rows_of_the_slot_however_they_come_in_blocks(blocks: list[list[tuple[int, bool]]]) -> None:
    left, expected_left = np.zeros(4, np.int64), dict.fromkeys(range(4), 0)
    for block in blocks:
        slots, stray = [slot for slot, _ in block], [is_stray for _, is_stray in block]
        echo = follow(left, np.array(slots, np.int64), np.array(stray, np.bool_))
        assert echo.tolist() == plain(slots, stray, expected_left)
        assert left.tolist() == list(expected_left.values())
