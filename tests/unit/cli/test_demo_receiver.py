import http.client
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from standardwebhooks import Webhook

from detector.cli.demo_receiver import Receiver

BODY = json.dumps({"entity": "cpu0"})


@pytest.fixture
def received() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def receiver(received: list[dict[str, Any]]) -> Iterator[Receiver]:
    with Receiver(received.append) as listening:
        yield listening


def _signed(secret: str, body: str, *, message: str = "m1", at: datetime | None = None) -> dict[str, str]:
    at = at or datetime.now(tz=UTC)
    signature = Webhook(secret).sign(msg_id=message, timestamp=at, data=body)
    stamp = str(int(at.timestamp()))
    return {"webhook-id": message, "webhook-timestamp": stamp, "webhook-signature": signature}


def _post(url: str, body: str | bytes, headers: dict[str, str], *, path: str | None = None) -> int:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=10)
    try:
        connection.request("POST", path or where.path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_signed_alert_is_handed_on(receiver: Receiver, received: list[dict[str, Any]]) -> None:
    assert _post(receiver.url, BODY, _signed(receiver.secret, BODY)) == 204
    assert received == [{"entity": "cpu0"}]


def test_a_message_that_comes_again_is_answered_but_not_handed_on(
    receiver: Receiver, received: list[dict[str, Any]]
) -> None:
    statuses = [_post(receiver.url, BODY, _signed(receiver.secret, BODY, message=m)) for m in ("m1", "m1", "m2")]
    assert statuses == [204, 204, 204]
    assert len(received) == 2


def test_what_is_not_signed_with_its_secret_is_refused(receiver: Receiver, received: list[dict[str, Any]]) -> None:
    with Receiver(received.append) as other:
        assert other.secret != receiver.secret
        foreign = _signed(other.secret, BODY)
    tampered = _signed(receiver.secret, BODY.replace("cpu0", "cpu1"))
    old = _signed(receiver.secret, BODY, at=datetime.now(tz=UTC) - timedelta(minutes=6))
    assert [_post(receiver.url, BODY, headers) for headers in (foreign, tampered, old, {})] == [401] * 4
    assert received == []


def test_a_malformed_signature_or_body_is_refused(receiver: Receiver, received: list[dict[str, Any]]) -> None:
    malformed = _signed(receiver.secret, BODY) | {"webhook-signature": "nonsense"}
    assert _post(receiver.url, BODY, malformed) == 400
    assert _post(receiver.url, "not json", _signed(receiver.secret, "not json")) == 400
    assert _post(receiver.url, "[1]", _signed(receiver.secret, "[1]")) == 400
    assert _post(receiver.url, b"\xff\xfe", _signed(receiver.secret, BODY)) == 400
    assert received == []


def test_other_paths_and_bodies_without_end_are_refused_unread(receiver: Receiver) -> None:
    assert _post(receiver.url, BODY, {}, path="/") == 404
    assert _post(receiver.url, b"", {"Content-Length": "99999999"}) == 413
    assert _post(receiver.url, b"", {"Content-Length": "-1"}) == 411


def test_one_connection_carries_many_alerts(receiver: Receiver, received: list[dict[str, Any]]) -> None:
    where = urlsplit(receiver.url)
    connection = http.client.HTTPConnection(where.netloc, timeout=10)
    for n in range(3):
        connection.request("POST", where.path, BODY, _signed(receiver.secret, BODY, message=f"m{n}"))
        response = connection.getresponse()
        assert (response.status, response.read()) == (204, b"")
    connection.close()
    assert len(received) == 3


def test_alerts_are_handed_on_one_at_a_time() -> None:
    meeting = threading.Barrier(2)
    met: list[bool] = []

    def receive(_: dict[str, Any]) -> None:
        try:
            meeting.wait(0.2)
        except threading.BrokenBarrierError:
            met.append(False)
        else:
            met.append(True)

    with Receiver(receive) as receiver:
        posts = [
            threading.Thread(target=_post, args=(receiver.url, BODY, _signed(receiver.secret, BODY, message=f"m{n}")))
            for n in range(2)
        ]
        for post in posts:
            post.start()
        for post in posts:
            post.join()
    assert met == [False, False]


def test_it_listens_on_this_computer_alone_and_stops_with_its_block(received: list[dict[str, Any]]) -> None:
    with Receiver(received.append) as receiver:
        url = receiver.url
    assert url.startswith("http://127.0.0.1:")
    with pytest.raises(OSError, match="refused"):
        _post(url, BODY, {})
