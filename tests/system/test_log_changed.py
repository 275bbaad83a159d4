"""A topic that was made anew or truncated while the daemon was down: told by name, with the choice."""

from __future__ import annotations

from detector.errors import SourceError
from detector.types import Partition, Position
from tests.support.broker import Cluster
from tests.support.daemon import Daemon, DaemonFactory
from tests.support.load import Feed, state_of, until_read


def make_anew(feed: Feed) -> None:
    """Delete the topic, make it again under the same name, and write less to it than there was."""
    feed.cluster.delete_topic(feed.topic)
    feed.cluster.create_topic(feed.topic)
    feed.ends = dict.fromkeys(feed.ends, 0)
    feed.write(20)


def truncate(feed: Feed) -> int:
    """Let the log begin behind what the daemon has read; returns where."""
    feed.write(60)
    earliest = feed.ends[Partition(feed.topic, 0)] - 30
    feed.cluster.delete_records(feed.topic, 0, earliest)
    return earliest


def refused(daemon: Daemon) -> str:
    """Start a daemon that must end and say why, with nothing changed."""
    before = state_of(daemon.store)
    assert daemon.start().wait() == SourceError.exit_code
    assert "Traceback" not in daemon.text
    assert "`source.on_log_changed: cold`" in daemon.text
    assert "`source.on_log_changed: resume`" in daemon.text
    assert state_of(daemon.store) == before
    return daemon.text.splitlines()[-1]


def goes_on(daemon: Daemon, feeds: list[Feed], policy: str) -> None:
    """Let a daemon go on by a policy, read everything and end; its group has the name of the first topic."""
    daemon.configure({"source": {"on_log_changed": policy}})
    daemon.start().until_said("partition_assigned", 2)
    for feed in feeds:
        until_read(feed.cluster, feeds[0].topic, feed.ends)
    assert daemon.terminate() == 0
    ends = {partition: Position(end) for feed in feeds for partition, end in feed.ends.items()}
    assert {p: checkpoint.position for p, (checkpoint, *_) in state_of(daemon.store).items()} == ends


def test_a_log_that_is_not_what_was_read_is_the_operators_choice(broker: Cluster, new_daemon: DaemonFactory) -> None:
    anew, cut = (Feed(broker, broker.create_topic(broker.topic_name(stem))) for stem in ("anew", "cut"))
    for feed in (anew, cut):
        feed.write(200)
    daemon = new_daemon(broker, f"{anew.topic},{cut.topic}", DETECTOR_GROUP=anew.topic)
    goes_on(daemon, [anew, cut], "stop")

    earliest = truncate(cut)
    said = refused(daemon)
    assert said.startswith(f"{cut.topic}/0: the log was truncated: its earliest offset is {earliest}, ")
    assert "the checkpoint goes on at offset 600, which is gone" in said

    make_anew(anew)
    said = refused(daemon)
    assert said.startswith(f"{anew.topic}/0: the topic was deleted and made anew: its id is ")

    goes_on(daemon, [anew, cut], "resume")
    assert [line["start"] for line in daemon.said("log_changed")] == ["resume", "resume"]
    assert daemon.said("log_changed", at=[earliest, 0])
    assert [line["entities"] for line in daemon.said("partition_assigned")] == [3, 3], "the models were kept"

    truncate(cut)
    make_anew(anew)
    goes_on(daemon, [anew, cut], "cold")
    assert [line["start"] for line in daemon.said("log_changed")] == ["cold", "cold"]
    assert [line["entities"] for line in daemon.said("partition_assigned")] == [0, 0], "the models were forgotten"
