"""Events of simulated hosts for the shipped configuration, and what came of them."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from kafka.errors import RetriableError

from detector.store import folder, inspect, notification
from detector.store.sqlite import SqliteStore
from detector.types import Partition
from tests.support.broker import Cluster, wait_until
from tests.support.daemon import PATIENCE

FEATURES = ("cpu", "memory", "disk_io", "network_in", "network_out", "latency")
HOSTS = 3
"""Hosts of each partition."""


class Feed:
    """Writes the load of a few hosts to the partitions of a topic, every now and then with what no model should see.

    One event a host and second, beginning so many seconds `ago`; a function of the seed but for where it begins.
    """

    def __init__(self, cluster: Cluster, topic: str, *, partitions: int = 1, seed: int = 1, ago: int = 7200) -> None:
        self.cluster, self.topic = cluster, topic
        self.ends = {Partition(topic, number): 0 for number in range(partitions)}
        self.faults = 0
        self._rng = np.random.default_rng(seed)
        self._time = int(time.time()) - ago

    def write(self, seconds: int, *, faulty: float = 0.01, rejected: float = 0.01) -> None:
        """Write so many seconds of load; shares of the events are out of the ordinary, or cannot be read."""
        events: dict[Partition, list[bytes]] = {partition: [] for partition in self.ends}
        for second in range(self._time, self._time + seconds):
            for partition in self.ends:
                events[partition] += [self._event(partition, host, second, faulty) for host in range(HOSTS)]
        self._time += seconds
        for partition, whole in events.items():
            spoilt = self._rng.random(len(whole)) < rejected
            values = [event[:-4] if spoil else event for event, spoil in zip(whole, spoilt, strict=True)]
            self.cluster.produce(self.topic, values, partition=partition.number)
            self.ends[partition] += len(values)

    def write_fault(self, partition: int = 0) -> None:
        """Write one event that any model must find out of the ordinary."""
        self._time += 10
        where = Partition(self.topic, partition)
        self.cluster.produce(self.topic, [self._event(where, 0, self._time, 1.0)], partition=partition)
        self.ends[where] += 1

    def _event(self, partition: Partition, host: int, second: int, faulty: float) -> bytes:
        rhythm = np.sin(second / 600)
        values = self._rng.normal([30 + 10 * rhythm, 60, 200, 1e6, 5e5, 12], [2, 1, 15, 5e4, 2e4, 1])
        if self._rng.random() < faulty:
            values[:3] *= 2 + self._rng.random()
            self.faults += 1
        metrics: dict[str, float | None] = dict(zip(FEATURES, values.tolist(), strict=True))
        if self._rng.random() < 0.02:
            metrics["latency"] = None
        late = 30 if self._rng.random() < 0.01 else 0
        name = f"host-{partition.number}-{host}"
        return json.dumps({"host": name, "timestamp": 1000 * (second - late), "metrics": metrics}).encode()


@contextmanager
def committed(cluster: Cluster, group: str) -> Iterator[Callable[[], dict[Partition, int]]]:
    """Yield a way to ask for the offsets that a group has committed."""
    with cluster.admin() as admin:

        def offsets() -> dict[Partition, int]:
            try:
                found = admin.list_group_offsets({group: None})[group]
            except RetriableError:
                return {}  # a broker that has just started has no coordinator yet
            return {Partition(*key): value.offset for key, value in found.items()}

        yield offsets


def until_read(cluster: Cluster, group: str, ends: dict[Partition, int], seconds: float = PATIENCE) -> None:
    """Wait until a group has committed all that was written: everything before is in a checkpoint then."""
    with committed(cluster, group) as offsets:
        wait_until(lambda: ends.items() <= offsets().items(), f"{group} to read {ends}", seconds)


def undelivered(store: Path, sink: str = "%") -> int:
    """Return how many messages wait for their delivery, by any sink or by one; their daemon may run."""
    count = 0
    files = [folder.partition_file(store, partition) for partition in folder.partitions(store)]
    for path in [*files, *(file for file in [notification.file_in(store)] if file.exists())]:
        file = path.absolute().as_uri()
        with closing(sqlite3.connect(f"{file}?mode=ro", uri=True)) as opened:
            waiting = "SELECT count(*) FROM outbox WHERE state = 'queued' AND sink LIKE ?"
            count += opened.execute(waiting, [sink]).fetchone()[0]
    return count


def state_of(store: Path) -> dict[Partition, tuple[Any, ...]]:
    """Return what of the partitions' files the log decides, once their daemon has ended.

    (checkpoint, when slots were last seen, states of the slots, control records, dead letters, number of outbox
    entries that there ever were)
    """
    assert inspect.check(store) == []
    states: dict[Partition, tuple[Any, ...]] = {}
    opened = SqliteStore(store, keep_rejects=1)
    for partition in opened.partitions():
        found = opened.open(partition)
        try:
            seen = dict(found.directory())
            slots = found.read_slots(list(seen))
            states[partition] = (found.checkpoint(), seen, slots, found.controls(), found.dead_letters())
        finally:
            found.close()
        with closing(sqlite3.connect(folder.partition_file(store, partition))) as file:
            states[partition] += tuple(file.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'"))
    return states
