"""Two daemons: where they may share, and where one of them is refused, with the choice."""

from __future__ import annotations

import pytest

from detector.errors import SourceError, StoreError
from tests.support.broker import Cluster
from tests.support.daemon import Daemon, DaemonFactory
from tests.support.load import Feed, until_read
from tests.support.outcome import Watched, assert_same, undisturbed
from tests.support.receiver import Receiver


def partitions_of(daemon: Daemon) -> set[str]:
    """Return the partitions that a daemon tells metrics of: those that it owns and has read something of."""
    name = "detector_last_event_timestamp_seconds{"
    return {key.removeprefix(name).split('"')[1] for key in daemon.metrics() if key.startswith(name)}


@pytest.fixture
def feed(broker: Cluster) -> Feed:
    made = Feed(broker, broker.create_topic(partitions=2), partitions=2)
    made.write(300)
    return made


def test_two_groups_do_not_share_a_store(feed: Feed, new_daemon: DaemonFactory) -> None:
    first = new_daemon(feed.cluster, feed.topic, DETECTOR_GROUP=feed.topic).start()
    first.until_said("partition_assigned", 2)
    second = new_daemon(feed.cluster, feed.topic, DETECTOR_STORE=str(first.store)).start()
    assert second.wait() == StoreError.exit_code
    assert f"{first.store / feed.topic / '0.lock'}: this partition's store is in use by pid {first.pid} " in second.text
    assert "Stop that daemon, or give this one a folder of its own (store.path)" in second.text
    assert "Traceback" not in second.text
    feed.write(50)
    until_read(feed.cluster, feed.topic, feed.ends)
    assert first.terminate() == 0


def test_two_stores_do_not_share_a_group(feed: Feed, new_daemon: DaemonFactory) -> None:
    alone = {"DETECTOR_GROUP": feed.topic, "DETECTOR_INSTANCE_ID": ""}
    first, second = (new_daemon(feed.cluster, feed.topic, **alone) for _ in range(2))
    first.start()
    until_read(feed.cluster, feed.topic, feed.ends)
    end = feed.ends[min(feed.ends)]

    # Committed by another store's worker, which runs.
    assert second.start().wait() == SourceError.exit_code
    assert f"{feed.topic}/" in second.text
    assert "was committed by a daemon with another store" in second.text
    assert f"`source.on_log_changed: resume` goes on at offset {end} with no state" in second.text
    assert "`source.on_log_changed: cold` forgets the partition's state" in second.text
    assert "Traceback" not in second.text

    # Taken by another store's worker, and given back.
    second.configure({"source": {"on_log_changed": "resume"}})
    second.start().until_said("log_changed", start="resume", at=[end, 0])
    feed.write(50)
    until_read(feed.cluster, feed.topic, feed.ends)
    assert second.terminate() == 0
    assert first.wait() == SourceError.exit_code
    assert "was committed by a daemon with another store" in first.text
    assert f"with a checkpoint at offset {end}" in first.text


def test_a_group_on_one_folder_shares_and_hands_over(feed: Feed, new_daemon: DaemonFactory) -> None:
    with Receiver() as receiver:
        watched = Watched(new_daemon, feed, receiver, max_poll_records=30, session_timeout="6s")
        first = watched.daemon
        watched.environ |= {"DETECTOR_STORE": str(first.store), "DETECTOR_INSTANCE_ID": ""}
        second = new_daemon(feed.cluster, feed.topic, watched.settings, **watched.environ)
        first.start().until_said("partition_assigned", 2)
        second.start().until_said("partition_assigned")
        feed.write(300)
        until_read(feed.cluster, watched.group, feed.ends)
        assert len(partitions_of(first)) == len(partitions_of(second)) == 1
        assert partitions_of(first) != partitions_of(second)
        feed.write(300)
        assert second.terminate() == 0
        first.until(lambda: len(partitions_of(first)) == 2, "it had both partitions again")
        second.start().until_said("partition_assigned")
        feed.write(300)
        second.kill()
        first.until(lambda: len(partitions_of(first)) == 2, "it had taken over what the other left")
        found = watched.finish()
    assert_same(found, undisturbed(new_daemon, feed))
