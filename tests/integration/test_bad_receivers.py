"""Receivers on a bad day: what each got, against what it must have got once it is well again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from detector.alerts.delivery import Delivery
from detector.alerts.webhook import WebhookSink
from detector.config import sections
from detector.store.sqlite import SqlitePartition, SqliteStore
from detector.types import OutboxEntry, Position
from tests.support.alerts import PARTITION, SECRET, Counts, TurnedClock, entry
from tests.support.receiver import LOOPBACK, Answer, Authority, Receiver

SENT = [entry("webhook", offset) for offset in range(4)]
TIMEOUT = 0.3
PAUSE = 70.0
"""Seconds after which a receiver that was down is tried again, at the latest."""


class Day:
    """A delivery to one receiver, with time turned by hand."""

    def __init__(self, store: SqlitePartition, clock: TurnedClock) -> None:
        self.store, self.clock, self.counts = store, clock, Counts()
        self._delivery: Delivery | None = None

    def begin(self, receiver: Receiver, **settings: Any) -> None:
        """Commit the alerts, and try to deliver them."""
        given = {"url": receiver.url, "secrets": [SECRET], "timeout": TIMEOUT, "allow_networks": LOOPBACK, **settings}
        sink = WebhookSink(sections.WebhookSink.model_validate(given), "sinks[0]")
        self._delivery = Delivery([sink], self.clock, self.counts, jitter=lambda: 0.0)
        self.store.commit_alerts(SENT, Position(1), 0)
        self._delivery.attach(self.store)
        self.go_on(0.0)

    def go_on(self, seconds: float = PAUSE) -> None:
        """Turn the clock, and wait until all that can be done then is done."""
        assert self._delivery is not None
        self.clock.turn(seconds)
        assert self._delivery.drain(20)

    def end(self) -> None:
        if self._delivery is not None:
            self._delivery.close(10)

    @property
    def waiting(self) -> int:
        return sum(entries for entries, _, _ in self.store.backlog().values())

    def codes(self) -> dict[str, int]:
        return {code: count for (_, code), count in self.counts.attempts.items()}


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    clock = TurnedClock()
    with closing(SqliteStore(tmp_path / "store", keep_rejects=10, now=clock.now).open(PARTITION)) as store:
        made = Day(store, clock)
        yield made
        made.end()


def got(receiver: Receiver) -> list[OutboxEntry]:
    """Return what it got, as entries; every signature must be right."""
    for request in receiver.requests:
        request.verify(SECRET)
    return [OutboxEntry(request.id, "webhook", "alert", request.body) for request in receiver.requests]


def test_one_that_refuses_connections_gets_all_in_order_once_it_is_back(day: Day) -> None:
    with Receiver() as receiver:
        receiver.stop()
        day.begin(receiver)
        day.go_on()
        assert day.waiting == len(SENT)
        receiver.start()
        day.go_on()
        assert got(receiver) == SENT
    assert day.codes() == {"refused": 4, "204": 4}
    assert day.waiting == 0


@pytest.mark.parametrize("way", ["says nothing", "says it a byte at a time"])
def test_one_that_does_not_come_to_the_point_is_left_and_gets_all_in_order_afterwards(day: Day, way: str) -> None:
    over = threading.Event()
    slow = Answer(200, {"x-padding": "x" * 10_000}, drip_head=True)
    with Receiver(otherwise=Answer(until=over) if way == "says nothing" else slow) as receiver:
        day.begin(receiver)
        assert got(receiver) == SENT[:2], "two in a row are enough to know"
        assert (day.waiting, day.codes()) == (len(SENT), {"timeout": 2})
        receiver.otherwise = Answer(204)
        day.go_on()
        assert got(receiver) == [*SENT[:2], *SENT]
        over.set()
    assert day.waiting == 0


def test_one_whose_body_comes_a_byte_at_a_time_gets_each_once_as_its_status_counts(day: Day) -> None:
    with Receiver(otherwise=Answer(200, body=b"x" * 10_000, drip=True)) as receiver:
        # At the same time, as each is read from to its end: there a status may take long on a busy machine.
        day.begin(receiver, timeout=4 * TIMEOUT, concurrency=len(SENT))
        assert sorted(got(receiver)) == sorted(SENT)
    assert (day.waiting, day.codes()) == (0, {"200": 4})


def test_one_that_says_yes_too_late_gets_the_same_again_with_the_same_id(day: Day) -> None:
    late = threading.Event()
    with Receiver(*[Answer(200, until=late)] * 2) as receiver:
        day.begin(receiver)
        late.set()
        day.go_on()
        arrived = got(receiver)
    assert arrived == [*SENT[:2], *SENT]
    assert list(dict.fromkeys(arrived)) == SENT, "by its id each is known, and counts once"
    assert (day.waiting, day.codes()) == (0, {"timeout": 2, "204": 4})


@pytest.mark.parametrize("status", [200, 503])
def test_one_that_answers_with_ten_megabytes_is_listened_to_for_its_status_alone(day: Day, status: int) -> None:
    with Receiver(otherwise=Answer(status, body=b"x" * 10_000_000)) as receiver:
        day.begin(receiver, timeout=20)
        assert got(receiver) == (SENT if status == 200 else SENT[:2])
        assert {len(queued.entry.body) for queued in day.store.due("webhook", 1e12, 10)} <= {len(SENT[0].body)}
        receiver.otherwise = Answer(200)
        day.go_on()
        assert got(receiver)[-4:] == SENT
    assert day.waiting == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_where_one_redirects_to_nothing_goes(day: Day, status: int) -> None:
    with Receiver() as elsewhere, Receiver() as receiver:
        receiver.otherwise = Answer(status, {"location": elsewhere.url})
        day.begin(receiver)
        day.go_on()
        assert day.codes() == {str(status): 4}
        receiver.otherwise = Answer(204)
        day.go_on()
        assert got(receiver)[-4:] == SENT
        assert elsewhere.requests == []
    assert day.waiting == 0


def test_one_whose_certificate_changes_is_believed_only_where_the_same_authority_says_so(
    day: Day, tmp_path: Path
) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "other CA")
    with Receiver(tls=theirs.server_context()) as receiver:
        day.begin(receiver, timeout=10, tls={"ca_file": ours.ca_file})
        assert receiver.requests == [], "nothing is told to a stranger"
        assert (day.waiting, day.codes()) == (len(SENT), {"tls": 2})
        receiver.stop()
        receiver._tls = ours.server_context()
        receiver.start()
        day.go_on()
        assert got(receiver) == SENT
        # A new one of the same authority: nothing to do for anybody.
        receiver.stop()
        receiver._tls = ours.server_context()
        receiver.start()
        more = entry("webhook", 99)
        day.store.commit_alerts([more], Position(2), 0)
        day.go_on()
        assert got(receiver) == [*SENT, more]
    assert day.waiting == 0


def test_beside_a_bad_one_a_good_one_gets_all_at_once(day: Day) -> None:
    never = threading.Event()
    with Receiver(otherwise=Answer(until=never)) as bad, Receiver() as good:
        sinks = [
            WebhookSink(
                sections.WebhookSink.model_validate(
                    {"name": name, "url": one.url, "secrets": [SECRET], "timeout": 30, "allow_networks": LOOPBACK}
                ),
                "sinks[0]",
            )
            for name, one in (("bad", bad), ("good", good))
        ]
        delivery = Delivery(sinks, day.clock, day.counts)
        entries = [one._replace(sink=name) for one in SENT for name in ("bad", "good")]
        day.store.commit_alerts(entries, Position(1), 0)
        delivery.attach(day.store)
        good.wait_for_count(len(SENT))
        bad.wait_for_count(1)
        assert got(good) == SENT
        assert got(bad) == SENT[:1], "it still holds the first call"
        never.set()
        delivery.close(10)
