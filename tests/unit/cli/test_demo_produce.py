"""The play of a fleet to a clock that the test turns, and what becomes of events that do not arrive."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from detector.cli.demo_produce import KafkaTopic, Pace, feed
from detector.errors import SinkError
from detector.sources.fleet_play import Event, Step
from detector.sources.simulated_faults import Fault
from detector.types import Attempt, OutboxEntry, Outcome

DELIVERED = Attempt(Outcome.DELIVERED, "ok")
RETRY = Attempt(Outcome.RETRY, "unreachable", "topic t: away")
REFUSED = Attempt(Outcome.REFUSED, "too_large", "topic t: too large")


class _Hands:
    """Turns the clock by what is slept."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.stopped = False

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def pace(self, end: float | None = None) -> Pace:
        return Pace(lambda: self.time, self.sleep, lambda: self.stopped, end)


class _Kept:
    def __init__(self, hands: _Hands) -> None:
        self.hands = hands
        self.sent: list[tuple[float, list[int]]] = []

    def send(self, events: Sequence[Event]) -> None:
        if events:
            self.sent.append((self.hands.time, [int(event.value) for event in events]))


class _Sink:
    """Answers as it is told to, and keeps what arrives."""

    def __init__(self, *answers: list[Attempt]) -> None:
        self.answers = list(answers)
        self.arrived: list[bytes] = []

    def deliver_all(self, entries: Sequence[tuple[OutboxEntry, int]]) -> list[Attempt]:
        answer = self.answers.pop(0)
        told = zip(entries, answer, strict=True)
        self.arrived += [entry.body for (entry, _), attempt in told if attempt.outcome is Outcome.DELIVERED]
        return answer


def steps(first: float, count: int) -> list[Step]:
    return [Step(first + n, [Event(b"h", str(n).encode())], []) for n in range(count)]


def test_what_is_past_goes_together_and_the_rest_when_it_is_due() -> None:
    hands = _Hands()
    topic = _Kept(hands)
    assert feed(iter(steps(998.0, 5)), topic, hands.pace()) == 5
    assert [(round(at, 6), events) for at, events in topic.sent] == [(1000, [0, 1, 2]), (1001, [3]), (1002, [4])]


def test_it_ends_when_its_time_is_over_or_at_a_signal() -> None:
    hands = _Hands()
    topic = _Kept(hands)
    assert feed(iter(steps(1000.0, 100)), topic, hands.pace(end=1002.5)) == 3
    assert hands.time == pytest.approx(1002.5)
    hands.stopped = True
    assert feed(iter(steps(hands.time, 100)), topic, hands.pace()) == 0


def test_what_breaks_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    hands = _Hands()
    fault = Fault("stuck_sensor", "host-01", ("cpu",), 1000.0, 1060.0)
    feed(iter([Step(1000.0, [], [fault])]), _Kept(hands), hands.pace())
    assert capsys.readouterr().out == "00:16:40 UTC host-01: stuck sensor of cpu until 00:17:40\n"


def events(count: int) -> list[Event]:
    return [Event(b"h", str(n).encode()) for n in range(count)]


def test_what_does_not_arrive_is_sent_again_once_something_has_arrived(capsys: pytest.CaptureFixture[str]) -> None:
    hands = _Hands()
    sink = _Sink([DELIVERED], [DELIVERED, RETRY, RETRY], [RETRY, DELIVERED], [DELIVERED])
    topic = KafkaTopic(sink.deliver_all, "t", hands.pace())
    topic.send(events(1))
    topic.send(events(3))
    assert sink.arrived == [b"0", b"0", b"2", b"1"]
    assert hands.time == pytest.approx(1002.0)
    assert "topic t: away" in capsys.readouterr().err


def test_it_gives_up_trying_when_it_is_over() -> None:
    hands = _Hands()
    topic = KafkaTopic(_Sink([DELIVERED], [RETRY]).deliver_all, "t", hands.pace(end=1000.5))
    topic.send(events(1))
    topic.send(events(1))
    assert hands.time == pytest.approx(1000.5)


@pytest.mark.parametrize("before", [0, 1])
def test_a_broker_that_takes_nothing_at_first_or_refuses_is_an_error(before: int) -> None:
    sink = _Sink(*[[DELIVERED]] * before, [REFUSED if before else RETRY])
    topic = KafkaTopic(sink.deliver_all, "t", _Hands().pace())
    for _ in range(before):
        topic.send(events(1))
    with pytest.raises(SinkError, match=r"topic t: .*expected a broker at `kafka.bootstrap_servers`"):
        topic.send(events(1))
