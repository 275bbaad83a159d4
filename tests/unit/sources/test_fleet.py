import numpy as np
import pyarrow as pa
import pytest

from detector.sources.fleet import PARTITION, FleetSource, events_section
from detector.sources.simulated_faults import FEATURES
from detector.sources.simulation import Fleet, simulate
from detector.types import LogFacts, Partition, Position, Record


class _Owner:
    def __init__(self, position: Position | None = None) -> None:
        self.position = position
        self.told: list[tuple[str, Partition]] = []
        self.log = LogFacts()

    def assigned(self, partition: Partition, log: LogFacts) -> Position | None:
        self.log = log
        self.told.append(("assigned", partition))
        return self.position

    def revoked(self, partition: Partition) -> None:
        self.told.append(("revoked", partition))

    def lost(self, partition: Partition) -> None:
        self.told.append(("lost", partition))


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return simulate(3, hosts=4, days=1)


def _read(fleet: Fleet, position: Position | None = None) -> list[Record]:
    source = FleetSource(fleet)
    source.start(_Owner(position))
    records: list[Record] = []
    while not source.exhausted:
        for batch in source.poll(0.0):
            assert batch.records[-1].offset + 1 == batch.next_offset <= batch.end_offset
            records.extend(batch.records)
    return records


def test_every_sample_is_handed_out_once_in_order_of_time(fleet: Fleet) -> None:
    records = _read(fleet)
    assert [record.offset for record in records] == list(range(72))
    tables = [pa.ipc.open_stream(record.value).read_all() for record in records]
    table = pa.concat_tables(tables)
    values = np.stack([table[name].to_numpy() for name in FEATURES], axis=1)
    assert np.array_equal(values, fleet.values.reshape(-1, len(FEATURES)))
    assert np.array_equal(table["time"].to_numpy(), np.repeat(fleet.times * 1000, 4).astype(np.int64))
    assert table["host"].to_pylist() == list(fleet.hosts) * 1440
    assert [record.timestamp for record in records] == [part["time"][-1].as_py() for part in tables]


def test_a_fleet_that_does_not_fill_its_last_record_ends_all_the_same(fleet: Fleet) -> None:
    short = Fleet(fleet.name, fleet.hosts, fleet.times[:25], fleet.values[:25], ())
    sizes = [pa.ipc.open_stream(record.value).read_all().num_rows for record in _read(short)]
    assert sizes == [80, 20]


def test_it_replays_the_same_bytes_from_any_position(fleet: Fleet) -> None:
    assert FleetSource(fleet).replayable
    assert _read(fleet, Position(40, 7)) == _read(fleet)[40:]


def test_a_position_behind_the_end_is_the_end(fleet: Fleet) -> None:
    source = FleetSource(fleet)
    source.start(_Owner(Position(72)))
    assert source.poll(0.0) == ()
    assert source.exhausted


def test_another_simulation_is_another_log(fleet: Fleet) -> None:
    owners = [_Owner(), _Owner()]
    for owner, seed in zip(owners, (3, 4), strict=True):
        source = FleetSource(simulate(seed, hosts=4, days=1))
        source.start(owner)
        source.poll(0.0)
    assert owners[0].log.topic_id != owners[1].log.topic_id
    assert (owners[0].log.earliest, owners[0].log.end) == (0, 72)


def test_paused_it_hands_out_nothing_and_loses_nothing(fleet: Fleet) -> None:
    source = FleetSource(fleet)
    source.start(_Owner())
    source.poll(0.0)
    source.pause()
    assert source.poll(0.0) == ()
    source.resume()
    assert source.poll(0.0)[0].records[0].offset == 8


def test_the_partition_is_handed_over_once_inside_poll_and_given_up_at_close(fleet: Fleet) -> None:
    owner = _Owner()
    source = FleetSource(fleet)
    source.start(owner)
    assert owner.told == []
    source.poll(0.0)
    source.poll(0.0)
    source.close()
    source.close()
    assert owner.told == [("assigned", PARTITION), ("revoked", PARTITION)]


def test_the_events_section_names_the_columns(fleet: Fleet) -> None:
    section = events_section()
    columns = pa.ipc.open_stream(_read(fleet)[0].value).schema.names
    assert columns == [section.timestamp.path, section.entity, *(feature.name for feature in section.features)]
    assert section.format == "arrow"
