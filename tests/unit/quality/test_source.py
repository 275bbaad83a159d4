from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from detector import decoding
from detector.quality.labelled import Run
from detector.quality.source import ROWS_A_RECORD, RunSource, events_section, log_order
from detector.types import LogFacts, Partition, Position, Record, Rows
from tests.support.labelled import run_of


class Assigned:
    """Takes what it is given, and remembers it."""

    def __init__(self) -> None:
        self.owned: list[Partition] = []

    def assigned(self, partition: Partition, log: LogFacts) -> Position | None:
        assert log.topic_id
        self.owned.append(partition)
        return None

    def revoked(self, partition: Partition) -> None:
        self.owned.remove(partition)

    def lost(self, partition: Partition) -> None:
        raise AssertionError(partition)


def read(run: Run, order: NDArray[np.int64]) -> tuple[RunSource, Rows]:
    """Read a run to its end and decode it as the daemon does."""
    source, records = RunSource("a", run, order), list[Record]()
    source.start(Assigned())
    while not source.exhausted:
        (batch,) = source.poll(0.0)
        assert batch.next_offset == len(records) + len(batch.records)
        records += batch.records
    assert source.poll(0.0) == ()
    decoded = decoding.build(events_section(run)).decode(records)
    assert decoded.rejects == []
    return source, decoded.rows


def test_every_row_comes_once_as_it_is_in_the_order_given() -> None:
    random = np.random.default_rng(0)
    n = 2 * ROWS_A_RECORD + 100
    values = random.normal(size=(n, 3)).astype(np.float32)
    run = run_of(np.zeros(n), values=values, stream=random.integers(0, 4, n), times=1e9 + np.arange(n) / 8)
    order = random.permutation(n)
    source, rows = read(run, order)
    assert source.rows_of(rows).tolist() == order.tolist()
    assert np.array_equal(rows.values, values[order])
    assert np.array_equal(rows.times, run.times[order])
    assert rows.entities == [str(stream) for stream in run.stream[order]]


def test_a_row_is_found_again_from_any_part_of_the_log() -> None:
    run = run_of(np.zeros(3000))
    order = np.arange(3000)[::-1].copy()
    source, rows = read(run, order)
    assert source.rows_of(rows[1500:1600]).tolist() == order[1500:1600].tolist()


def test_without_streams_there_is_no_entity() -> None:
    _, rows = read(run_of(np.zeros(10)), np.arange(10))
    assert rows.entities is None


def test_a_nan_is_a_missing_feature() -> None:
    values = np.array([[1.0, np.nan], [np.nan, 2.0]])
    _, rows = read(run_of([0, 0], values=values), np.arange(2))
    assert np.array_equal(rows.values, values, equal_nan=True)


def test_years_fit_one_record() -> None:
    times = 86400.0 * 400 * np.arange(20)
    _, rows = read(run_of(np.zeros(20), times=times), np.arange(20))
    assert rows.times.tolist() == times.tolist()


def test_events_stay_in_the_order_of_the_file() -> None:
    run = run_of(np.zeros(4), stream=[0, 0, 1, 1], times=[4, 3, 2, 1])
    assert log_order(run, "events").tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("stream", "times", "expected"),
    [
        ([0, 0, 0, 1, 1, 1], [1, 3, 5, 2, 4, 6], [0, 3, 1, 4, 2, 5]),
        ([0, 0, 0, 1, 1, 1], [1, 2, 3, 1, 2, 3], [0, 3, 1, 4, 2, 5]),
        ([0, 0, 0, 1, 1, 1], [5, 1, 7, 6, 6, 6], [0, 1, 3, 4, 5, 2]),  # a stream keeps its own order
    ],
)
def test_streams_of_metrics_are_merged_by_time(stream: list[int], times: list[int], expected: list[int]) -> None:
    assert log_order(run_of(np.zeros(6), stream=stream, times=times), "metrics").tolist() == expected


def test_the_partition_is_the_sources_until_it_is_closed() -> None:
    assigned, source = Assigned(), RunSource("a", run_of(np.zeros(5)), np.arange(5))
    source.start(assigned)
    assert assigned.owned == []
    source.poll(0.0)
    assert assigned.owned == [Partition("a", 0)]
    source.close()
    source.close()
    assert assigned.owned == []
