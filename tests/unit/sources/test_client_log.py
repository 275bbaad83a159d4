from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError, SaslAuthenticationFailedError

from detector.sources.client_log import ClientLog, Handover

CONNECTIONS, LISTENERS = logging.getLogger("kafka.net.manager"), logging.getLogger("kafka.coordinator.consumer")


@pytest.fixture
def heard() -> Iterator[ClientLog]:
    log = ClientLog()
    log.attach()
    yield log
    log.detach()


def test_the_reason_of_a_failed_connection_is_kept(heard: ClientLog) -> None:
    refused = SaslAuthenticationFailedError("no")
    CONNECTIONS.warning("Bootstrap connection to %s failed: %s (backoff %.2f secs)", "bootstrap-0", refused, 0.1)
    CONNECTIONS.error("Connection failed: %s", KafkaConnectionError("socket disconnected"))
    CONNECTIONS.error("Connection failed: %s", RequestTimedOutError("Request timed out after 90 ms"))
    CONNECTIONS.error("Bootstrap failed: %s", KafkaTimeoutError("Unable to bootstrap from a:1"))
    assert heard.reason is refused
    heard.forget()
    assert heard.reason is None


def test_a_later_reason_that_says_as_much_takes_its_place(heard: ClientLog) -> None:
    reasons = (
        RequestTimedOutError("Request timed out after 90 ms"),
        KafkaConnectionError("refused"),
        KafkaConnectionError("disconnected"),
        KafkaConnectionError("Handshake failed: [SSL: X]"),
    )
    for reason in reasons:
        CONNECTIONS.warning("Connection failed: %s", reason)
        assert heard.reason is reason


def test_handovers_are_no_errors_in_the_log(heard: ClientLog, caplog: pytest.LogCaptureFixture) -> None:
    for raised in (Handover(), ValueError("a real one")):
        try:
            raise raised
        except (Handover, ValueError):
            LISTENERS.exception("User provided rebalance listener failed")
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [raised]
