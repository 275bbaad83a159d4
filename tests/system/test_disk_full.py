"""A disk without room, or that cannot be written: the daemon says so, consumes nothing, answers, and goes on later."""

from __future__ import annotations

import pytest

from detector.control.asking import ask
from detector.errors import DetectorError
from detector.types import Position
from tests.support.broker import Cluster
from tests.support.daemon import Daemon, DaemonFactory
from tests.support.load import Feed, state_of, until_read
from tests.support.outcome import Watched, assert_same, undisturbed
from tests.support.read_only import mounted_read_only
from tests.support.receiver import Receiver

CONSUMED = "detector_events_consumed_total"


def until_full(daemon: Daemon) -> None:
    """Wait until the daemon says that there is no room, and what to do."""
    said = daemon.until_blocked("store")
    assert str(daemon.store) in said
    assert "make room on its disk" in said
    assert daemon.metrics()['detector_blocked{reason="store"}'] == 1
    assert ask(daemon.store, "status")[0].result["blocked"]["store"] == daemon.blocked()["store"]


@pytest.mark.timeout(600)
def test_the_daemon_waits_for_room_and_loses_nothing(broker: Cluster, new_daemon: DaemonFactory) -> None:
    feed = Feed(broker, broker.create_topic(partitions=2), partitions=2)
    with Receiver() as receiver:
        watched = Watched(new_daemon, feed, receiver, max_poll_records=100)
        daemon = watched.daemon.start()
        daemon.until_said("partition_assigned", 2)
        stops_and_goes_on(daemon, feed)
        until_read(broker, watched.group, feed.ends)
        ends_without_room(daemon, feed)
        starts_where_nothing_can_be_written(daemon)
        starts_without_room(daemon)
        found = watched.finish()
    assert_same(found, undisturbed(new_daemon, feed))


def stops_and_goes_on(daemon: Daemon, feed: Feed) -> None:
    feed.write(300)
    daemon.until(lambda: CONSUMED in daemon.metrics(), "it reads")
    daemon.fill_disk()
    feed.write(300)
    until_full(daemon)
    with pytest.raises(DetectorError, match="make room on its disk"):
        ask(daemon.store, "learning set", {"pattern": "*", "mode": "learn"})
    consumed = daemon.metrics()[CONSUMED]
    feed.write(300)
    for _ in range(10):  # each is answered between two turns of its loop, in which it would have read it all
        ask(daemon.store, "status")
    assert daemon.metrics()[CONSUMED] == consumed
    assert len(daemon.said("waiting", reason="store")) == 1
    daemon.make_room()
    daemon.until_ready()
    assert daemon.said("going_on", reason="store")


def ends_without_room(daemon: Daemon, feed: Feed) -> None:
    before = dict(feed.ends)
    daemon.fill_disk()
    feed.write(300)
    until_full(daemon)
    assert daemon.terminate() == 0
    assert daemon.said("checkpoint_abandoned")
    for partition, (checkpoint, *_) in state_of(daemon.store).items():
        assert checkpoint.position == Position(before[partition])


def starts_where_nothing_can_be_written(daemon: Daemon) -> None:
    before = state_of(daemon.store)
    daemon.start(mounted_read_only(daemon.store))
    assert "Read-only file system): make room on its disk, or make it writable" in daemon.until_blocked("store")
    assert daemon.metrics().get(CONSUMED, 0.0) == 0
    assert len(daemon.said("waiting", reason="store")) == 1
    assert daemon.terminate() == 0
    assert state_of(daemon.store) == before


def starts_without_room(daemon: Daemon) -> None:
    daemon.start().until_said("listening")  # before, TensorFlow insists on a folder for temporary files
    daemon.fill_disk()
    until_full(daemon)
    daemon.make_room()
    daemon.until_ready()
