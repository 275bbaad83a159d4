"""From the outbox to a real receiver, with time turned by hand: everything arrives once per id, in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from detector.alerts import retry
from detector.alerts.delivery import Delivery
from detector.alerts.ids import message_id
from detector.alerts.webhook import WebhookSink
from detector.config import sections
from detector.errors import StoreFullError
from detector.protocols import PartitionStore, Sink, Store
from detector.store.memory import MemoryPartition, MemoryStore
from detector.store.sqlite import SqliteStore
from detector.types import Attempt, OutboxEntry, Outcome, Partition, Position, QueuedEntry
from tests.support.alerts import PARTITION, SECRET, Counts, TurnedClock, alert, entry, entry_of
from tests.support.broker import wait_until
from tests.support.receiver import LOOPBACK, Answer, Receiver, Request

OTHER = Partition("metrics", 4)


def webhook(receiver: Receiver, name: str = "webhook", timeout: float = 10.0, **given: Any) -> Sink:
    settings = {"url": receiver.url, "name": name, "secrets": [SECRET], "timeout": timeout, **given}
    settings["allow_networks"] = LOOPBACK
    return WebhookSink(sections.WebhookSink.model_validate(settings), "sinks[0]")


def ids(requests: list[Request]) -> list[str]:
    return [request.id for request in requests]


class ScriptedSink:
    """Answers what a function of the entry says; for what no receiver can be made to do."""

    def __init__(self, answer: Callable[[OutboxEntry], Attempt], name: str = "webhook") -> None:
        self.name = name
        self.tried: list[str] = []
        self.closed = False
        self._answer = answer

    def deliver(self, entry: OutboxEntry, attempt: int) -> Attempt:  # noqa: ARG002 - the script knows its entries
        self.tried.append(entry.id)
        return self._answer(entry)

    def close(self) -> None:
        self.closed = True


class Scene:
    """A store, a clock, and deliveries that are closed at the end."""

    def __init__(self, store: Store, clock: TurnedClock) -> None:
        self.store = store
        self.clock = clock
        self.counts = Counts()
        self.partition = store.open(PARTITION)
        self.deliveries: list[Delivery] = []
        self._through = 0

    def start(self, *sinks: Sink) -> Delivery:
        delivery = Delivery(sinks, self.clock, self.counts, jitter=lambda: 0.0)
        self.deliveries.append(delivery)
        delivery.attach(self.partition)
        return delivery

    def add(
        self, *offsets: int, sinks: tuple[str, ...] = ("webhook",), store: PartitionStore | None = None
    ) -> list[str]:
        """Write alerts as an alert commit does; returns their ids."""
        entries = [entry(sink, offset) for offset in offsets for sink in sinks]
        (store or self.partition).commit_alerts(entries, Position(max(offsets) + 1), 0)
        return [entry("webhook", offset).id for offset in offsets]

    def turn(self, delivery: Delivery, seconds: float) -> None:
        self.clock.turn(seconds)
        assert delivery.drain(20)

    def waiting(self) -> int:
        return sum(entries for entries, _, _ in self.partition.backlog().values())


@pytest.fixture(params=["memory", "sqlite"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    clock = TurnedClock()
    store: Store = (
        MemoryStore(keep_rejects=100, now=clock.now)
        if request.param == "memory"
        else SqliteStore(tmp_path, keep_rejects=100, now=clock.now)
    )
    made = Scene(store, clock)
    yield made
    for delivery in made.deliveries:
        delivery.close(10)
    made.partition.close()


def test_what_is_committed_goes_out_without_delay(scene: Scene) -> None:
    with Receiver() as receiver:
        delivery = scene.start(webhook(receiver))
        sent = scene.add(1, 2, 3)
        delivery.wake(PARTITION)
        assert ids(receiver.wait_for_count(3)) == sent
        wait_until(lambda: scene.waiting() == 0, "the outbox to be empty")
        scene.add(1, 2, 3)
        assert delivery.drain(10)
    for request in receiver.requests[:3]:
        request.verify(SECRET)


def test_what_waited_in_the_store_goes_out_at_start(scene: Scene) -> None:
    with Receiver() as receiver:
        sent = scene.add(*range(200))
        assert scene.start(webhook(receiver)).drain(30)
        assert ids(receiver.requests) == sent
        assert scene.waiting() == 0


def test_across_an_outage_each_alert_arrives_once_and_in_order(scene: Scene) -> None:
    with Receiver() as receiver:
        delivery = scene.start(webhook(receiver))
        sent = scene.add(1)
        assert delivery.drain(10)
        receiver.stop()
        for minute in range(30):
            sent += scene.add(2 + minute)
            scene.turn(delivery, 60.0)
        assert scene.waiting() == 30
        receiver.start()
        scene.turn(delivery, 70.0)
        assert ids(receiver.requests) == sent
        assert scene.waiting() == 0
        assert scene.counts.attempts["webhook", "refused"] > 0
        assert not scene.counts.refusals


def test_after_a_long_outage_all_goes_out_at_once_whatever_was_due_when(scene: Scene) -> None:
    with Receiver() as receiver:
        delivery = scene.start(webhook(receiver))
        receiver.stop()
        sent = scene.add(*range(150))
        for _ in range(160):
            scene.turn(delivery, 60.0)
        receiver.start()
        scene.turn(delivery, 60.0)
        assert ids(receiver.requests) == sent
        assert scene.waiting() == 0


def test_order_holds_when_the_daemon_is_restarted_within_the_outage(scene: Scene) -> None:
    with Receiver() as receiver:
        first = scene.start(webhook(receiver))
        receiver.stop()
        sent = scene.add(*range(5))
        for _ in range(3):
            scene.turn(first, 70.0)
        first.close(10)
        second = scene.start(webhook(receiver))
        assert second.drain(10)
        receiver.start()
        scene.turn(second, 86400.0)
        assert ids(receiver.requests) == sent


def test_a_lone_alert_is_tried_on_the_schedule_and_then_kept_as_refused(scene: Scene) -> None:
    with Receiver(otherwise=503) as receiver:
        delivery = scene.start(webhook(receiver))
        scene.add(1)
        assert delivery.drain(10)
        for number, seconds in enumerate(retry.SCHEDULE[1:], start=1):
            assert len(receiver.requests) == number
            scene.turn(delivery, seconds - 1.0)
            assert len(receiver.requests) == number, f"too early: {seconds - 1} s after attempt {number}"
            scene.turn(delivery, 1.0)
        assert len(receiver.requests) == len(retry.SCHEDULE)
        assert len(set(ids(receiver.requests))) == 1
        scene.turn(delivery, 10 * 86400.0)
        assert len(receiver.requests) == len(retry.SCHEDULE)
    assert scene.waiting() == 0
    assert scene.counts.refusals == {("webhook", "503"): 1}


def test_an_alert_that_a_receiver_cannot_digest_holds_up_no_other(scene: Scene) -> None:
    poison = {entry("webhook", offset).id for offset in (0, 1, 2, 50)}

    def answer(entry: OutboxEntry) -> Attempt:
        return Attempt(Outcome.RETRY, "500") if entry.id in poison else Attempt(Outcome.DELIVERED, "204")

    sink = ScriptedSink(answer)
    delivery = scene.start(sink)
    sent = scene.add(*range(100))
    for _ in range(5):
        scene.turn(delivery, 60.0)
    assert scene.waiting() == len(poison)
    good = [tried for tried in sink.tried if tried not in poison]
    assert sorted(good) == sorted(set(sent) - poison), "each exactly once"


def test_a_new_alert_is_not_held_up_by_old_failures_for_longer_than_a_minute(scene: Scene) -> None:
    with Receiver(otherwise=503) as receiver:
        delivery = scene.start(webhook(receiver))
        scene.add(1)
        for _ in range(5):
            scene.turn(delivery, 20_000.0)
        receiver.otherwise = Answer(204)
        (fresh,) = scene.add(2)
        scene.turn(delivery, 60.0)
        assert fresh in ids(receiver.requests)
        assert scene.waiting() == 0, "and the old one went first"


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_clock_that_jumps_delays_no_retry_and_gives_nothing_up(scene: Scene, jump: float) -> None:
    outcome = Outcome.RETRY
    sink = ScriptedSink(lambda _: Attempt(outcome, "away"))
    delivery = scene.start(sink)
    (alone,) = scene.add(1)
    assert delivery.drain(20)
    outcome = Outcome.DELIVERED
    scene.clock.jump(jump)
    scene.turn(delivery, 6)
    assert (sink.tried, scene.waiting()) == ([alone, alone], 0)
    scene.clock.jump(-jump)
    (another,) = scene.add(2)
    scene.turn(delivery, 1)
    assert (sink.tried, scene.waiting()) == ([alone, alone, another], 0)


def test_the_receivers_wish_to_wait_is_kept(scene: Scene) -> None:
    with Receiver(Answer(429, {"retry-after": "600"})) as receiver:
        delivery = scene.start(webhook(receiver))
        sent = scene.add(1, 2, 3)
        assert delivery.drain(10)
        scene.turn(delivery, 599.0)
        assert len(receiver.requests) == 1
        scene.turn(delivery, 1.0)
        assert ids(receiver.requests) == [sent[0], *sent]


def test_a_receiver_that_is_gone_is_left_alone_until_a_restart(scene: Scene) -> None:
    with Receiver(410) as receiver:
        delivery = scene.start(webhook(receiver))
        sent = scene.add(1, 2, 3)
        assert delivery.drain(10)
        scene.turn(delivery, 10 * 86400.0)
        assert ids(receiver.requests) == sent[:1]
        assert scene.waiting() == 2
        delivery.close(10)
        assert scene.start(webhook(receiver)).drain(10)
        assert ids(receiver.requests) == sent
    assert scene.counts.refusals == {("webhook", "410"): 1}


def test_a_receiver_that_was_gone_is_tried_again_when_an_operator_says_so(scene: Scene) -> None:
    with Receiver(410) as receiver:
        delivery = scene.start(webhook(receiver))
        first, *rest = scene.add(1, 2, 3)
        assert delivery.drain(10)
        delivery.resume()
        receiver.wait_for_count(3)
        assert delivery.drain(10)
        assert ids(receiver.requests) == [first, *rest]
    assert scene.waiting() == 0


def test_what_is_refused_is_kept_and_the_next_goes_on(scene: Scene) -> None:
    with Receiver(204, 400, 204) as receiver:
        delivery = scene.start(webhook(receiver))
        sent = scene.add(1, 2, 3)
        assert delivery.drain(10)
        assert ids(receiver.requests) == sent
    assert scene.waiting() == 0
    assert scene.counts.refusals == {("webhook", "400"): 1}


def test_a_dead_receiver_delays_no_other(scene: Scene) -> None:
    never = threading.Event()
    with Receiver(otherwise=Answer(until=never)) as dead, Receiver() as living:
        delivery = scene.start(webhook(dead, "dead", timeout=30.0), webhook(living, "living"))
        scene.add(1, sinks=("dead", "living"))
        delivery.wake(PARTITION)
        dead.wait_for_count(1)
        for offset in range(2, 20):
            scene.add(offset, sinks=("dead", "living"))
            delivery.wake(PARTITION)
            living.wait_for_count(offset)
        assert len(dead.requests) == 1
        never.set()


def of_incident(number: int, *sequences: int, sink: str = "webhook") -> list[OutboxEntry]:
    made = [alert(number, incident=replace(alert(number).incident, sequence=sequence)) for sequence in sequences]
    return [entry_of(sink, replace(one, id=message_id(one.incident.id, one.incident.sequence))) for one in made]


def commit(scene: Scene, entries: list[OutboxEntry]) -> list[str]:
    scene.partition.commit_alerts(entries, Position(1), 0)
    return [each.id for each in entries]


def test_so_many_calls_are_under_way_at_once_and_no_more(scene: Scene) -> None:
    over = threading.Event()
    with Receiver(*[Answer(until=over)] * 3) as receiver:
        delivery = scene.start(webhook(receiver, concurrency=3))
        sent = scene.add(*range(8))
        delivery.wake(PARTITION)
        receiver.wait_for_count(3)
        assert sorted(ids(receiver.requests)) == sorted(sent[:3])
        assert {request.connection for request in receiver.requests} == {1, 2, 3}
        over.set()
        assert delivery.drain(20)
        assert sorted(ids(receiver.requests)) == sorted(sent)
        assert len({request.connection for request in receiver.requests}) == 3


def test_messages_of_one_incident_are_never_under_way_together(scene: Scene) -> None:
    over = threading.Event()
    with Receiver(*[Answer(until=over)] * 2) as receiver:
        delivery = scene.start(webhook(receiver, concurrency=8))
        one, other = of_incident(1, 1, 2, 3), of_incident(2, 1, 2)
        sent = commit(scene, [one[0], other[0], one[1], other[1], one[2]])
        delivery.wake(PARTITION)
        receiver.wait_for_count(2)
        assert {*ids(receiver.requests)} == {*sent[:2]}
        over.set()
        assert delivery.drain(20)
        arrived = ids(receiver.requests)
    for incident in (one, other):
        assert [id_ for id_ in arrived if id_[:32] == incident[0].subject] == [each.id for each in incident]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_message_that_fails_holds_back_the_later_ones_of_its_incident_alone(scene: Scene, concurrency: int) -> None:
    bad, good = of_incident(1, 1, 2, 3), of_incident(2, 1, 2)
    with Receiver() as receiver:
        receiver.failing = {bad[0].id}
        delivery = scene.start(webhook(receiver, concurrency=concurrency))
        commit(scene, [bad[0], good[0], bad[1], good[1], bad[2]])
        for _ in range(4):
            scene.turn(delivery, 60.0)
        tried = ids(receiver.requests)
        assert [id_ for id_ in tried if id_ != bad[0].id] == [each.id for each in good]
        assert scene.waiting() == 3
        receiver.failing = set()
        scene.turn(delivery, 3600.0)
        rest = ids(receiver.requests)[len(tried) :]
    assert rest == [each.id for each in bad]
    assert scene.waiting() == 0


def test_after_an_hour_each_incident_arrives_and_each_message_is_taken_once(scene: Scene) -> None:
    with Receiver() as receiver:
        delivery = scene.start(webhook(receiver))
        receiver.stop()
        sent: list[str] = []
        for minute in range(60):
            sent += commit(scene, of_incident(minute, 1) + (of_incident(minute - 5, 2) if minute >= 5 else []))
            scene.turn(delivery, 60.0)
        receiver.start()
        scene.turn(delivery, 60.0)
        assert ids(receiver.requests) == sent
        for request in receiver.requests:
            request.verify(SECRET)
    assert scene.waiting() == 0
    assert scene.counts.attempts["webhook", "204"] == len(sent)


def test_collapsed_the_last_state_of_each_incident_arrives_after_an_hour_and_the_rest_is_counted(scene: Scene) -> None:
    with Receiver() as receiver:
        delivery = scene.start(webhook(receiver, collapse=True))
        receiver.stop()
        for minute in range(60):
            entries = of_incident(minute, 1)
            entries += of_incident(minute - 5, 2) if minute >= 5 else []
            commit(scene, entries + (of_incident(minute - 10, 3) if minute >= 10 else []))
            scene.turn(delivery, 60.0)
        receiver.start()
        scene.turn(delivery, 60.0)
        last = [3] * 50 + [2] * 5 + [1] * 5
        state = {of_incident(number, sequence)[0].id for number, sequence in enumerate(last)}
        assert len(receiver.requests) == len(state)
        assert {*ids(receiver.requests)} == state
    assert scene.waiting() == 0
    assert scene.counts.collapses["webhook"] == 50 * 2 + 5


def test_killed_between_delivery_and_settlement_it_is_sent_again_with_the_same_id(scene: Scene) -> None:
    # The first delivery's report is held up until it is abandoned, as if the process had died after the answer came.
    with Receiver() as receiver:
        held = threading.Event()
        inner = webhook(receiver)

        def hold(entry: OutboxEntry) -> Attempt:
            attempt = inner.deliver(entry, 1)
            held.wait(30)
            return attempt

        first = scene.start(ScriptedSink(hold))
        sent = scene.add(1)
        first.wake(PARTITION)
        receiver.wait_for_count(1)
        first.close(0.0)
        second = scene.start(webhook(receiver))
        assert second.drain(10)
        held.set()
        first.close(10)
        inner.close()
        assert ids(receiver.requests) == sent * 2
        one, two = receiver.requests
        assert one.body == two.body
    assert scene.waiting() == 0


def test_detaching_waits_for_what_is_in_flight_and_settles_it(scene: Scene) -> None:
    let_go = threading.Event()
    with Receiver(Answer(until=let_go)) as receiver:
        delivery = scene.start(webhook(receiver))
        scene.add(1, 2, 3)
        delivery.wake(PARTITION)
        receiver.wait_for_count(1)
        detached = threading.Event()

        def detach() -> None:
            delivery.detach(PARTITION)
            detached.set()

        threading.Thread(target=detach).start()
        assert not detached.wait(0.2)
        let_go.set()
        assert detached.wait(10)
        assert len(receiver.requests) == 1
        assert scene.waiting() == 2, "what was delivered is settled, the rest is left"
        scene.add(4)
        assert delivery.drain(10)
        assert len(receiver.requests) == 1
        delivery.attach(scene.partition)
        assert delivery.drain(10)
        assert len(receiver.requests) == 4


def test_detaching_what_is_not_attached_returns_at_once(scene: Scene) -> None:
    delivery = scene.start()
    delivery.detach(OTHER)
    delivery.close(10)
    delivery.detach(PARTITION)


def test_partitions_share_a_sink_and_each_keeps_its_order(scene: Scene) -> None:
    other = scene.store.open(OTHER)
    with Receiver() as receiver:
        delivery = scene.start(webhook(receiver))
        receiver.stop()
        delivery.attach(other)
        for offset in range(0, 40, 2):
            scene.add(offset)
            scene.add(offset + 1, store=other)
            scene.turn(delivery, 10.0)
        receiver.start()
        scene.turn(delivery, 70.0)
        assert ids(receiver.requests) == [entry("webhook", offset).id for offset in range(40)]
    delivery.close(10)
    other.close()


class FullPartition(MemoryPartition):
    """A partition's store whose disk is full until it is not."""

    full = True

    def settle(self, results: object) -> None:
        if self.full:
            message = "no room"
            raise StoreFullError(message)
        super().settle(results)  # type: ignore[arg-type]


def test_what_cannot_be_recorded_is_not_sent_again() -> None:
    clock = TurnedClock()
    store = MemoryStore(keep_rejects=100, now=clock.now)
    scene = Scene(store, clock)
    scene.partition.__class__ = FullPartition
    with Receiver() as receiver:
        delivery = scene.start(webhook(receiver))
        sent = scene.add(1, 2)
        delivery.wake()
        receiver.wait_for_count(2)
        for _ in range(3):
            delivery.wake()
            clock.turn(10.0)
        assert not delivery.drain(0.2), "it waits for room"
        FullPartition.full = False
        assert delivery.drain(10)
        assert ids(receiver.requests) == sent
        assert scene.waiting() == 0
        delivery.close(10)


def test_a_sink_that_raises_is_counted_and_tried_again(scene: Scene) -> None:
    faults = iter([True, True, False])

    def answer(entry: OutboxEntry) -> Attempt:
        if next(faults):
            message = "a bug"
            raise RuntimeError(message)
        return Attempt(Outcome.DELIVERED, "ok")

    sink = ScriptedSink(answer)
    delivery = scene.start(sink)
    scene.add(1)
    assert delivery.drain(10)
    for _ in range(2):
        scene.turn(delivery, 400.0)
    assert len(sink.tried) == 3
    assert scene.waiting() == 0
    assert scene.counts.crashes == {"webhook": 2}
    assert scene.counts.attempts == {("webhook", "internal"): 2, ("webhook", "ok"): 1}


class BrokenPartition(MemoryPartition):
    """A partition's store with a bug in it."""

    def due(self, sink: str, now: float, limit: int) -> list[QueuedEntry]:  # noqa: ARG002 - it fails for all
        message = "a bug"
        raise RuntimeError(message)


def test_a_store_that_raises_stops_no_other() -> None:
    clock = TurnedClock()
    store = MemoryStore(keep_rejects=100, now=clock.now)
    scene = Scene(store, clock)
    broken = store.open(OTHER)
    broken.__class__ = BrokenPartition
    with Receiver() as receiver:
        delivery = scene.start(webhook(receiver))
        delivery.attach(broken)
        sent = scene.add(1)
        assert delivery.drain(10)
        assert ids(receiver.requests) == sent
        assert scene.counts.crashes["delivery"] > 0
        delivery.close(10)


def test_what_waits_is_told(scene: Scene) -> None:
    with Receiver(otherwise=503) as receiver:
        delivery = scene.start(webhook(receiver))
        created = scene.clock.now()
        scene.add(1, 2)
        assert delivery.drain(10)
        scene.turn(delivery, 2.0)
        assert scene.counts.backlogs["webhook"] == (2, created)
        entries, oldest, size = delivery.waiting(PARTITION)["webhook"]
        assert (entries, oldest) == (2, created)
        assert size == len(entry("webhook", 1).body) + len(entry("webhook", 2).body)
        receiver.otherwise = Answer(204)
        scene.turn(delivery, 70.0)
        scene.turn(delivery, 2.0)
        assert scene.counts.backlogs["webhook"] == (0, 0.0)


def test_closing_closes_the_sinks_and_ends_the_threads(scene: Scene) -> None:
    before = set(threading.enumerate())  # of an earlier test, they may end meanwhile
    sink = ScriptedSink(lambda _: Attempt(Outcome.DELIVERED, "ok"))
    delivery = scene.start(sink)
    scene.add(1)
    assert delivery.drain(10)
    delivery.close(10)
    delivery.close(10)
    assert sink.closed
    assert set(threading.enumerate()) <= before
    delivery.wake()
    assert delivery.drain(1)


def test_closing_does_not_wait_for_a_stuck_receiver_beyond_its_time(scene: Scene) -> None:
    never = threading.Event()
    with Receiver(otherwise=Answer(until=never)) as receiver:
        delivery = scene.start(webhook(receiver, timeout=3.0))
        scene.add(1)
        delivery.wake()
        receiver.wait_for_count(1)
        started = time.monotonic()
        delivery.close(0.1)
        assert time.monotonic() - started < 3.0
        never.set()
    assert scene.waiting() == 1


# --- sinks are exchanged while it runs


def test_exchanged_while_messages_are_in_flight_each_arrives_once_at_the_old_or_the_new_receiver(scene: Scene) -> None:
    let_go = threading.Event()
    with Receiver(otherwise=Answer(until=let_go)) as old, Receiver() as new:
        delivery = scene.start(webhook(old))
        sent = scene.add(*range(100))
        delivery.wake(PARTITION)
        old.wait_for_count(1)
        delivery.replace([webhook(new)])
        sent += scene.add(*range(100, 150))
        delivery.wake(PARTITION)
        let_go.set()
        assert delivery.drain(30)
        assert ids(old.requests) == sent[:1], "the attempt that was under way"
        assert ids(new.requests) == sent[1:]
        assert scene.waiting() == 0


def test_a_sink_that_stays_goes_on_and_one_that_goes_is_closed_with_what_waits_kept(scene: Scene) -> None:
    stays, goes = (ScriptedSink(lambda _: Attempt(Outcome.DELIVERED, "ok"), name) for name in ("stays", "goes"))
    delivery = scene.start(stays, goes)
    sent = scene.add(1, sinks=("stays", "goes"))
    assert delivery.drain(20)
    delivery.replace([stays])
    assert delivery.drain(20)
    wait_until(lambda: goes.closed, "the sink to be closed")
    sent += scene.add(2, sinks=("stays", "goes"))
    assert delivery.drain(20)
    assert (stays.tried, goes.tried, stays.closed) == (sent, sent[:1], False)
    assert scene.partition.backlog()["goes"][0] == 1
    back = ScriptedSink(lambda _: Attempt(Outcome.DELIVERED, "ok"), "goes")
    delivery.replace([stays, back])
    assert delivery.drain(20)
    assert back.tried == sent[1:]


def test_of_two_exchanges_in_a_row_the_last_counts_and_the_sink_between_is_never_used(scene: Scene) -> None:
    let_go = threading.Event()
    with Receiver(otherwise=Answer(until=let_go)) as old:
        delivery = scene.start(webhook(old))
        sent = scene.add(1, 2)
        delivery.wake(PARTITION)
        old.wait_for_count(1)
        between, last = (ScriptedSink(lambda _: Attempt(Outcome.DELIVERED, "ok")) for _ in range(2))
        delivery.replace([between])
        delivery.replace([last])
        assert between.closed
        let_go.set()
        assert delivery.drain(20)
    assert (between.tried, last.tried) == ([], sent[1:])
    never = ScriptedSink(lambda _: Attempt(Outcome.DELIVERED, "ok"))
    delivery.replace([never])
    delivery.close(10)
    assert last.closed
    assert never.closed


def test_a_receiver_that_was_gone_is_tried_again_when_sinks_are_exchanged(scene: Scene) -> None:
    answers = [Attempt(Outcome.GONE, "410"), Attempt(Outcome.DELIVERED, "200")]
    sink = ScriptedSink(lambda _: answers.pop(0))
    delivery = scene.start(sink)
    scene.add(1)
    assert delivery.drain(20)
    (sent,) = scene.add(2)
    scene.turn(delivery, 3600.0)
    assert len(sink.tried) == 1
    delivery.replace([sink])
    assert delivery.drain(20)
    assert sink.tried[1:] == [sent]
