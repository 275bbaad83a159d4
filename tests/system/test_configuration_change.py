"""A change of the configuration between two runs is a control record: it takes effect at a place in the log."""

from __future__ import annotations

import json
from contextlib import ExitStack
from random import Random

import pytest

from detector.store.sqlite import SqliteStore
from detector.types import ControlKind, ControlRecord, Partition
from tests.support.broker import Cluster
from tests.support.daemon import Daemon, DaemonFactory
from tests.support.load import Feed, state_of, until_read
from tests.support.outcome import SENSITIVE, Watched, assert_same
from tests.support.receiver import Receiver

OTHER = {"alerting": SENSITIVE | {"false_alarm_rate": 0.02}}
BEFORE, AFTER = 1.301, 1.699
"""The thresholds: -log10 of 0.05 and of 0.02."""


@pytest.mark.timeout(600)
def test_another_threshold_takes_effect_at_one_place_of_the_log(broker: Cluster, new_daemon: DaemonFactory) -> None:
    feed = Feed(broker, broker.create_topic(partitions=2), partitions=2)
    feed.write(600)
    with ExitStack() as stack:
        disturbed, replayed = (
            Watched(new_daemon, feed, stack.enter_context(Receiver()), max_poll_records=10) for _ in range(2)
        )
        daemon = disturbed.daemon.start()
        until_read(broker, disturbed.group, feed.ends)
        assert daemon.terminate() == 0
        before = configurations(disturbed.daemon)
        feed.write(600)
        daemon.configure(OTHER)
        blocks = change_and_kill(daemon, Random(7))
        found = disturbed.finish()

        give_controls(replayed.daemon, before, configurations(disturbed.daemon))
        replayed.daemon.configure(OTHER)
        replayed.daemon.start()
        assert_same(found, replayed.finish())

    for body in found.webhooks.values():
        alert = json.loads(body)
        changes_at = blocks[f"{alert['topic']}/{alert['partition']}"]
        assert alert["threshold"] == pytest.approx(AFTER if alert["block"] >= changes_at else BEFORE, abs=1e-3)
    assert {round(json.loads(body)["threshold"], 3) for body in found.webhooks.values()} == {BEFORE, AFTER}


def change_and_kill(daemon: Daemon, random: Random) -> dict[str, int]:
    """Start with another configuration, kill the daemon around the change, and start it again.

    Returns the block of the change, by partition: it is decided once.
    """
    daemon.start().until_said("configuration_changes", 2)
    blocks = {line["partition"]: line["at_block"] for line in daemon.said("configuration_changes")}
    daemon.until_said("partition_assigned", 2)
    for alerts in (1, random.randint(2, 10)):
        daemon.until(lambda: len(daemon.output) >= alerts, "it alerts again")  # noqa: B023 - called at once
        daemon.kill()
        daemon.start().until_said("partition_assigned", 2)
        assert not daemon.said("configuration_changes")
    return blocks


def configurations(daemon: Daemon) -> dict[Partition, ControlRecord]:
    """Return the one control record that each partition of an ended daemon keeps: the checkpoint says all else."""
    kept = {partition: controls for partition, (_, _, _, controls, *_) in state_of(daemon.store).items()}
    assert {tuple(record.kind for record in controls) for controls in kept.values()} == {(ControlKind.CONFIGURATION,)}
    return {partition: controls[0] for partition, controls in kept.items()}


def give_controls(
    daemon: Daemon, before: dict[Partition, ControlRecord], after: dict[Partition, ControlRecord]
) -> None:
    """Give a store that has nothing yet the control records of another, with the number of partitions as it told it."""
    store = SqliteStore(daemon.store, keep_rejects=1)
    for partition, first in before.items():
        opened = store.open(partition)
        for control in (first, ControlRecord(1, ControlKind.PARTITIONS, {"partitions": len(before)}), after[partition]):
            opened.add_control(control)
        opened.close()
