from __future__ import annotations

import pytest
from kafka.errors import GroupAuthorizationFailedError, InconsistentGroupProtocolError, UnknownError

from detector.config.sections import Kafka, KafkaSource
from detector.errors import SourceError, SourceUnavailableError
from detector.sources.kafka_trouble import Trouble


class Stopped:
    """A clock that goes on only when told to."""

    seconds = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


def trouble(clock: Stopped | None = None, **source: object) -> Trouble:
    section = KafkaSource.model_validate({"topics": ["events"], "group": "watchers"} | source)
    return Trouble(section, Kafka(bootstrap_servers=["a:1", "b:2"]), clock or Stopped())


def test_it_lasts_from_the_first_time_until_it_is_over() -> None:
    clock = Stopped()
    found = trouble(clock)
    assert found.lasts() == 0
    clock.seconds += 90
    assert found.lasts() == 90
    assert str(found.unreachable(None)).endswith("(since 2027-01-15T08:00:00+00:00)")
    found.over()
    assert found.lasts() == 0


def test_what_only_the_operator_can_mend_ends_the_daemon() -> None:
    error = trouble().explain(InconsistentGroupProtocolError())
    assert type(error) is SourceError
    assert "consumer group watchers is used by a client that shares partitions in another way" in str(error)


@pytest.mark.parametrize("raised", [GroupAuthorizationFailedError("watchers"), UnknownError("something")])
def test_what_may_pass_is_waited_for(raised: Exception) -> None:
    error = trouble().explain(raised)
    assert isinstance(error, SourceUnavailableError)
    assert "Kafka at a:1, b:2" in str(error)


def test_a_pattern_meets_whole_names_only() -> None:
    found = trouble(topics=None, pattern="plant-[0-9]")
    assert found.no_topic({"plant-1"}, set()) is None
    assert "no topic that source.pattern 'plant-[0-9]' matches" in str(found.no_topic({"plant-10"}, set()))


def test_one_topic_of_several_is_enough_to_begin() -> None:
    found = trouble(topics=["here", "nowhere"])
    assert found.no_topic({"here"}, set()) is None
    assert "has no topic here, nowhere; create it" in str(found.no_topic({"other"}, set()))
    assert "may not read here; grant it" in str(found.no_topic({"here"}, {"here"}))
