"""Where blocks end: a function of the rows alone, however they are cut into batches."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.models.blocks import Block, Cut, cuts, event_times, usable
from detector.types import Float64

SIZE, TICK = 4, 10.0


def plain_blocks(times: Float64) -> list[int]:
    """Return each row's block, a row at a time; `times` are event times."""
    number, held, tick, result = 0, 0, None, []
    for time in times.tolist():
        if held and (held == SIZE or np.floor(time / TICK) != tick):
            number, held = number + 1, 0
        held, tick = held + 1, np.floor(time / TICK)
        result.append(number)
    return result


def blocks_in_pieces(times: Float64, pieces: list[int]) -> list[int]:
    """Return each row's block as `cuts` has it when the rows come in pieces."""
    number, held, so_far, at, result = 0, 0, 0.0, 0, list[int]()
    for size in [*pieces, len(times)]:
        part = times[at : at + size]
        end = 0
        for cut in cuts(part, held=held, open_time=so_far, size=SIZE, tick=TICK):
            assert cut.start == end
            end = cut.end
            result += [number] * (cut.end - cut.start)
            held += cut.end - cut.start
            assert 0 < held <= SIZE
            if cut.complete:
                number, held = number + 1, 0
        assert end == len(part)
        at += len(part)
        so_far = float(part[-1]) if len(part) else so_far
    return result


@given(
    steps=st.lists(st.sampled_from([0.0, 0.5, 3.0, 10.0, 25.0, 1000.0]), max_size=60),
    pieces=st.lists(st.integers(0, 20), max_size=12),
)
def test_blocks_are_those_of_one_row_at_a_time_however_the_rows_are_cut(steps: list[float], pieces: list[int]) -> None:
    times = 1_700_000_003.0 + np.cumsum(np.array(steps))
    assert blocks_in_pieces(times, pieces) == plain_blocks(times)


def test_a_row_that_opens_a_tick_belongs_to_the_next_block_and_gaps_make_no_empty_ones() -> None:
    times = np.array([1.0, 9.9, 10.0, 95.0, 96.0])
    assert cuts(times, held=0, open_time=0.0, size=SIZE, tick=TICK) == [
        Cut(0, 2, complete=True),
        Cut(2, 3, complete=True),
        Cut(3, 5, complete=False),
    ]


def test_a_block_left_open_is_complete_without_any_row_when_the_next_tick_begins() -> None:
    assert cuts(np.array([10.0]), held=3, open_time=9.0, size=SIZE, tick=TICK) == [
        Cut(0, 0, complete=True),
        Cut(0, 1, complete=False),
    ]
    assert cuts(np.array([9.5]), held=3, open_time=9.0, size=SIZE, tick=TICK) == [Cut(0, 1, complete=True)]


def test_no_rows_need_no_cuts() -> None:
    assert cuts(np.zeros(0), held=3, open_time=9.0, size=SIZE, tick=TICK) == []


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30), st.floats(-1e9, 1e9))
def test_event_time_is_the_running_maximum(times: list[float], so_far: float) -> None:
    running = event_times(np.array(times), so_far)
    assert running.tolist() == [max(so_far, *times[: i + 1]) for i in range(len(times))]


def test_a_block_grows_without_changing_what_it_was() -> None:
    empty = Block.empty(7, 2, 1.0)
    slots, rows = np.array([0, -1, 2]), np.ones((3, 2), np.float32)
    first = empty.extended(rows, slots, usable(rows, slots, 2), 5.0)
    block = first.extended(rows, slots + 3, usable(rows, slots + 3, 2), 6.0)
    assert (len(empty), len(first), len(block), block.number, block.time) == (0, 3, 6, 7, 6.0)
    assert block.slots.tolist() == [0, -1, 2, 3, 2, 5]
    assert block.usable.tolist() == [True, False, True, True, True, True]
