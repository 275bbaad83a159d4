"""The daemon is killed and its broker stopped at any moment, and nothing of what it finds is different."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from threading import Event, Thread

import pytest

from tests.support.broker import Broker, Cluster
from tests.support.daemon import Daemon, DaemonFactory
from tests.support.fixtures import BrokerFactory
from tests.support.load import Feed
from tests.support.outcome import Watched, assert_same, undisturbed
from tests.support.receiver import Receiver


@contextmanager
def written_all_along(feed: Feed) -> Iterator[None]:
    """Write to the topic, a little at a time, until the block ends."""
    over = Event()

    def write() -> None:
        while not over.wait(0.5):
            feed.write(20)

    writer = Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


def kill_again_and_again(watched: Watched, random: Random, kills: int) -> int:
    """Kill the daemon while it starts, reads, checkpoints or delivers; returns how many checkpoints it made before."""
    daemon, started = watched.daemon, time.monotonic()
    daemon.start().until_said("partition_assigned")
    start_seconds, checkpoints = time.monotonic() - started, 0
    for i in range(kills):
        if i:
            daemon.configure({"source": {"max_poll_records": random.choice([3, 10, 30])}})
            daemon.start()
        if i % 3 == 2:
            time.sleep(random.uniform(0, start_seconds))  # not to wait for anything: it is the moment of the kill
        else:
            checkpoints += until_checkpoints(daemon, random.randint(1, 3))
            time.sleep(random.uniform(0, 0.3))
        daemon.kill()
    return checkpoints


def until_checkpoints(daemon: Daemon, count: int) -> int:
    """Wait until the daemon has made so many checkpoints since it has a partition; returns how many it has made."""
    daemon.until_said("partition_assigned")
    name, made = "detector_checkpoint_duration_seconds_count", 0

    def enough() -> bool:
        nonlocal made
        made = int(daemon.metrics()[name])
        return made >= count

    daemon.until(enough, f"it had made {count} checkpoints")
    return made


@pytest.mark.timeout(900)
def test_thirty_kills_change_nothing(broker: Cluster, new_daemon: DaemonFactory) -> None:
    feed = Feed(broker, broker.create_topic(partitions=2), partitions=2)
    feed.write(3000)
    with Receiver() as one, Receiver() as other:
        chains = [Watched(new_daemon, feed, receiver, max_poll_records=10) for receiver in (one, other)]
        with written_all_along(feed), ThreadPoolExecutor() as pool:
            made = list(pool.map(lambda chain, seed: kill_again_and_again(chain, Random(seed), 15), chains, (1, 2)))
        assert min(made) >= 10, "they were killed before they did anything"
        for chain in chains:
            chain.daemon.configure({"source": {"max_poll_records": 1000}})
            chain.daemon.start()
        found = [chain.finish() for chain in chains]
    expected = undisturbed(new_daemon, feed)
    for outcome in found:
        assert_same(outcome, expected)


@pytest.mark.timeout(600)
def test_a_broker_that_goes_and_comes_back_changes_nothing(
    new_broker: BrokerFactory, new_daemon: DaemonFactory
) -> None:
    broker: Broker = new_broker()
    feed = Feed(broker, broker.create_topic(partitions=2), partitions=2, seed=2)
    feed.write(1000)
    with Receiver() as receiver:
        watched = Watched(new_daemon, feed, receiver, max_poll_records=10)
        daemon = watched.daemon.start()
        for number, end in enumerate((broker.stop, broker.kill, broker.kill), start=1):
            until_checkpoints(daemon, 2 * number)
            end()
            daemon.until_blocked("source")
            broker.start()
            daemon.until_ready()
            assert len(daemon.said("waiting", reason="source")) == number, "a wait is told once"
            feed.write(200)
        broker.kill()
        assert daemon.terminate() == 0
        daemon.start().until_blocked("source")
        broker.start()
        found = watched.finish()
    assert_same(found, undisturbed(new_daemon, feed))
