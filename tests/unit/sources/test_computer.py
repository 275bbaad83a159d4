import os

import msgspec
import pytest

from detector.config.sections import ComputerSource as Section
from detector.sources.computer import PARTITION, ComputerSource, events_section
from detector.sources.readings import Reading
from detector.types import Batch, LogFacts, Partition, Position


class _Clock:
    """Waiting moves it, and nothing else."""

    def __init__(self) -> None:
        self.time = 100.0
        self.waits: list[float] = []

    def now(self) -> float:
        return 1_800_000_000.0 + self.time

    def monotonic(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds


class _Owner:
    def __init__(self, position: Position | None = None) -> None:
        self.position = position
        self.told: list[tuple[str, Partition]] = []

    def assigned(self, partition: Partition, log: LogFacts) -> Position | None:
        assert log == LogFacts()
        self.told.append(("assigned", partition))
        return self.position

    def revoked(self, partition: Partition) -> None:
        self.told.append(("revoked", partition))

    def lost(self, partition: Partition) -> None:
        self.told.append(("lost", partition))


def _source(clock: _Clock, owner: _Owner, *, interval: float = 2.0, seconds_a_reading: float = 0.0) -> ComputerSource:
    def read() -> Reading:
        clock.time += seconds_a_reading
        return Reading(clock.time, counters={"net/eth0": {"received": 1000 * clock.time}})

    source = ComputerSource(Section(interval=interval), clock, read=read, wait=clock.wait)
    source.start(owner)
    return source


def _polls(source: ComputerSource, times: int, timeout: float = 9.0) -> list[Batch]:
    return [batch for _ in range(times) for batch in source.poll(timeout)]


def test_the_first_reading_is_only_the_beginning_of_rates() -> None:
    source = _source(_Clock(), _Owner())
    assert source.poll(9.0) == ()
    assert len(source.poll(9.0)) == 1


def test_a_record_is_a_sample_with_every_feature_of_every_part() -> None:
    clock = _Clock()
    (batch,) = _polls(_source(clock, _Owner()), 2)
    (record,) = batch.records
    (event,) = msgspec.json.decode(record.value or b"")
    section = events_section()
    assert event["entity"] == "net/eth0"
    assert event["ts"] == record.timestamp == int(clock.now() * 1000)
    assert event["received"] == pytest.approx(1000.0)
    assert [event[feature.name] for feature in section.features if feature.name != "received"] == [0.0] * 16
    assert (section.entity, section.timestamp.path, section.timestamp.unit) == ("entity", "ts", "ms")


def test_offsets_count_samples() -> None:
    batches = _polls(_source(_Clock(), _Owner()), 4)
    assert [(b.partition, b.records[0].offset, b.next_offset, b.end_offset) for b in batches] == [
        (PARTITION, 0, 1, 1),
        (PARTITION, 1, 2, 2),
        (PARTITION, 2, 3, 3),
    ]


@pytest.mark.parametrize(("position", "first"), [(Position(41), 41), (Position(41, 2), 42)])
def test_offsets_go_on_behind_the_checkpoint(position: Position, first: int) -> None:
    batches = _polls(_source(_Clock(), _Owner(position)), 2)
    assert batches[0].records[0].offset == first


def test_poll_waits_for_the_sample_but_no_longer_than_its_timeout() -> None:
    clock = _Clock()
    source = _source(clock, _Owner())
    source.poll(1.0)
    assert source.poll(0.5) == ()
    assert clock.waits == [0.5]
    assert len(source.poll(9.0)) == 1
    assert clock.waits == [0.5, 1.5]


def test_samples_keep_to_their_grid_and_missed_ones_are_left_out() -> None:
    clock = _Clock()
    source = _source(clock, _Owner())
    source.poll(1.0)
    clock.time += 5.0
    assert len(source.poll(0.0)) == 1
    assert source.poll(0.5) == ()
    assert len(source.poll(9.0)) == 1
    assert clock.time == 106.0


def test_a_reading_slower_than_the_interval_does_not_pile_up() -> None:
    clock = _Clock()
    source = _source(clock, _Owner(), seconds_a_reading=5.0)
    assert len(_polls(source, 4)) == 3
    assert clock.time <= 124.0


def test_rates_go_back_a_second_where_samples_are_closer() -> None:
    clock = _Clock()
    received = iter([0.0, 0.0, 0.0, 0.0, 800.0, 800.0, 800.0, 800.0, 800.0])
    readings = (Reading(clock.time, counters={"net/eth0": {"received": n}}) for n in received)
    source = ComputerSource(Section(interval=0.25), clock, read=lambda: next(readings), wait=clock.wait)
    source.start(_Owner())
    batches = _polls(source, 9)
    events = [msgspec.json.decode(batch.records[0].value or b"")[0] for batch in batches]
    assert [event["received"] for event in events] == [800.0, 800.0, 800.0, 800.0, 0.0]


def test_paused_it_waits_and_hands_out_nothing() -> None:
    clock = _Clock()
    source = _source(clock, _Owner())
    _polls(source, 2)
    source.pause()
    clock.waits.clear()
    assert _polls(source, 3, timeout=2.0) == []
    assert clock.waits == [2.0, 2.0, 2.0]


def test_after_a_pause_rates_begin_anew_and_offsets_go_on() -> None:
    source = _source(_Clock(), _Owner())
    _polls(source, 3)
    source.pause()
    source.poll(2.0)
    source.resume()
    assert source.poll(9.0) == ()
    (batch,) = source.poll(9.0)
    assert batch.records[0].offset == 2


def test_the_partition_is_handed_over_once_inside_poll_and_given_up_at_close() -> None:
    owner = _Owner()
    source = _source(_Clock(), owner)
    assert owner.told == []
    _polls(source, 3)
    source.close()
    source.close()
    assert owner.told == [("assigned", PARTITION), ("revoked", PARTITION)]


def test_it_neither_ends_nor_replays() -> None:
    source = ComputerSource(Section(), _Clock())
    assert not source.exhausted
    assert not source.replayable


def test_this_computer_yields_events_for_itself_and_its_cores() -> None:
    clock = _Clock()
    source = ComputerSource(Section(interval=2.0), clock, wait=clock.wait)
    source.start(_Owner())
    source.poll(1.0)
    began = os.times().user
    while os.times().user - began < 0.1:  # so that the cores have ticks to account for
        pass
    (batch,) = source.poll(9.0)
    events = msgspec.json.decode(batch.records[0].value or b"")
    entities = {event["entity"] for event in events}
    assert "computer" in entities
    assert any(entity.startswith("cpu") for entity in entities)
    assert all(set(event) == {"ts", "entity"} | {f.name for f in events_section().features} for event in events)
