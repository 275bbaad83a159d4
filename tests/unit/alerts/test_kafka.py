from __future__ import annotations

import msgspec

from detector.alerts.kafka import Message, alert_message, message
from detector.types import OutboxEntry
from tests.support.alerts import entry

GROUP = {"schema": 1, "kind": "notification", "status": "firing", "labels": {"topic": "orders", "site": "berlin"}}


def test_what_people_are_told_is_keyed_by_its_group() -> None:
    body = msgspec.json.encode(GROUP)
    assert message(OutboxEntry("some-id", "kafka", "notification", body)) == Message(
        b'{"site":"berlin","topic":"orders"}',
        body,
        [("id", b"some-id"), ("status", b"firing"), ("kind", b"notification"), ("schema", b"1")],
    )


def test_an_alert_by_itself_is_keyed_by_its_entity() -> None:
    assert message(entry("kafka")) == alert_message(entry("kafka"))
    assert message(entry("kafka")).key == b"host-7"
