"""What of the Kafka source can be judged without a broker; the rest is in tests/integration."""

from __future__ import annotations

import kafka.record.util
import pytest
from kafka import KafkaConsumer

from detector.config.sections import Kafka
from detector.config.sections import KafkaSource as Section
from detector.errors import ConfigError
from detector.sources.kafka import KafkaSource
from detector.sources.kafka_arguments import consumer_arguments
from detector.telemetry.clock import SystemClock

SECTION = Section(topics=["events"])


def test_checksums_are_computed_in_c() -> None:
    assert kafka.record.util.crc32c_c is not None, "five times slower: install kafka-python[crc32c]"


def test_kafka_python_knows_every_argument() -> None:
    assert consumer_arguments(SECTION).keys() <= KafkaConsumer.DEFAULT_CONFIG.keys()


def test_offsets_are_never_committed_or_reset_by_kafka_python() -> None:
    given = consumer_arguments(SECTION)
    assert given["enable_auto_commit"] is False
    assert given["auto_offset_reset"] == "none"


def test_heartbeats_fit_into_a_short_session() -> None:
    given = consumer_arguments(Section(topics=["events"], session_timeout=6.0))
    assert given["heartbeat_interval_ms"] * 3 <= given["session_timeout_ms"]


def test_a_certificate_that_cannot_be_read_is_told_before_anything_starts() -> None:
    settings = Kafka.model_validate({"tls": {"ca_file": "/nowhere/ca.pem"}})
    with pytest.raises(ConfigError, match=r"kafka\.tls\.ca_file"):
        KafkaSource(SECTION, settings, clock=SystemClock())


def test_a_source_that_never_started_can_be_closed() -> None:
    KafkaSource(SECTION, Kafka(), clock=SystemClock()).close()
