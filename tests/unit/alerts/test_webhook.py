from __future__ import annotations

import logging
import socket
import threading
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from detector.alerts.webhook import WebhookSink
from detector.config.sections import WebhookSink as Settings
from detector.errors import ConfigError
from detector.types import Attempt, Outcome
from detector.version import __version__
from tests.support.alerts import SECRET, entry
from tests.support.receiver import LOOPBACK, Answer, Authority, Receiver

OLD_SECRET = "whsec_" + "b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQgb2xk"


def sink(url: str, **settings: Any) -> WebhookSink:
    return WebhookSink(Settings.model_validate({"url": url, "allow_networks": LOOPBACK, **settings}), "sinks[0]")


def deliver(url: str, **settings: Any) -> Attempt:
    made = sink(url, **settings)
    try:
        return made.deliver(entry("webhook"), 1)
    finally:
        made.close()


def test_an_alert_arrives_as_standard_webhooks_has_it() -> None:
    with Receiver() as receiver:
        attempt = deliver(receiver.url, secrets=[SECRET])
        (request,) = receiver.requests
    assert (attempt.outcome, attempt.code) == (Outcome.DELIVERED, "204")
    assert request.body == entry("webhook").body
    assert request.id == entry("webhook").id
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"detector/{__version__}"
    request.verify(SECRET)


def test_while_secrets_rotate_either_one_verifies() -> None:
    with Receiver() as receiver:
        deliver(receiver.url, secrets=[SECRET, OLD_SECRET])
        (request,) = receiver.requests
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    request.verify(SECRET)
    request.verify(OLD_SECRET)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "c3RyYW5nZXIgc3RyYW5nZXIgc3RyYW5nZXIh").verify(request.body, request.headers)


def test_without_secrets_there_is_no_signature() -> None:
    with Receiver() as receiver:
        deliver(receiver.url)
        (request,) = receiver.requests
    assert "webhook-signature" not in request.headers
    assert {"webhook-id", "webhook-timestamp"} <= request.headers.keys()


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (202, Outcome.DELIVERED),
        (500, Outcome.RETRY),
        (429, Outcome.RETRY),
        (401, Outcome.REFUSED),
        (410, Outcome.GONE),
    ],
)
def test_the_status_decides(answer: int, outcome: Outcome) -> None:
    with Receiver(answer) as receiver:
        attempt = deliver(receiver.url)
    assert (attempt.outcome, attempt.code) == (outcome, str(answer))


def test_a_redirect_is_not_followed() -> None:
    with Receiver() as elsewhere, Receiver(Answer(307, {"location": elsewhere.url})) as receiver:
        attempt = deliver(receiver.url)
        assert elsewhere.requests == []
    assert (attempt.outcome, attempt.code) == (Outcome.RETRY, "307")


def test_the_receivers_wish_to_wait_is_told() -> None:
    with Receiver(Answer(429, {"retry-after": "17"}), Answer(400, {"retry-after": "17"})) as receiver:
        assert deliver(receiver.url).retry_after == 17.0
        assert deliver(receiver.url).retry_after is None


def test_connections_are_kept_between_alerts() -> None:
    with Receiver(Answer(200, body=b"thanks"), Answer(500, body=b"x" * 60_000)) as receiver:
        made = sink(receiver.url)
        for _ in range(4):
            made.deliver(entry("webhook"), 1)
        made.close()
        assert {request.connection for request in receiver.requests} == {1}


def test_a_connection_that_the_receiver_closed_is_not_used_again() -> None:
    with Receiver() as receiver:
        made = sink(receiver.url)
        assert made.deliver(entry("webhook"), 1).outcome is Outcome.DELIVERED
        receiver.stop()
        receiver.start()
        assert made.deliver(entry("webhook"), 1).outcome is Outcome.DELIVERED
        made.close()


def test_a_receiver_that_says_nothing_is_left_after_the_timeout() -> None:
    never = threading.Event()
    with Receiver(Answer(until=never)) as receiver:
        attempt = deliver(receiver.url, timeout=0.3)
        never.set()
    assert (attempt.outcome, attempt.code) == (Outcome.RETRY, "timeout")


def test_a_head_that_comes_a_byte_at_a_time_is_left_after_the_timeout() -> None:
    with Receiver(Answer(200, {"x-padding": "x" * 100_000}, drip_head=True)) as receiver:
        attempt = deliver(receiver.url, timeout=0.5)
    assert (attempt.outcome, attempt.code) == (Outcome.RETRY, "timeout")


def test_a_body_that_comes_a_byte_at_a_time_is_left_and_the_status_holds() -> None:
    with Receiver(Answer(200, body=b"x" * 100_000, drip=True), Answer(503, body=b"busy" * 9999, drip=True)) as receiver:
        assert deliver(receiver.url, timeout=0.5)[:2] == (Outcome.DELIVERED, "200")
        assert deliver(receiver.url, timeout=0.5)[:2] == (Outcome.RETRY, "503")


def test_no_more_of_a_body_is_read_than_the_limit() -> None:
    with Receiver(Answer(200, {"content-length": str(10**12)}, b"x" * (1 << 20))) as receiver:
        # The rest of the promised body never comes: without the limit this would end in the timeout.
        made = sink(receiver.url, timeout=30.0)
        assert made.deliver(entry("webhook"), 1).outcome is Outcome.DELIVERED
        made.close()


def test_after_a_timeout_the_next_attempt_has_a_fresh_connection() -> None:
    never = threading.Event()
    with Receiver(Answer(until=never)) as receiver:
        made = sink(receiver.url, timeout=0.3)
        assert made.deliver(entry("webhook"), 1).code == "timeout"
        assert made.deliver(entry("webhook"), 2).outcome is Outcome.DELIVERED
        made.close()
        never.set()
        assert [request.connection for request in receiver.requests] == [1, 2]


def test_what_goes_wrong_on_the_way_has_one_word() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        assert deliver(closed)[:2] == (Outcome.RETRY, "refused")
    assert deliver("http://no-such-host.invalid/")[:2] == (Outcome.RETRY, "dns")
    with Receiver(otherwise=0) as receiver:
        assert deliver(receiver.url)[:2] == (Outcome.RETRY, "protocol")
        assert deliver(receiver.url.replace("http:", "https:"))[:2] == (Outcome.RETRY, "tls")


def test_tls_trusts_the_configured_authority_alone(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "other CA")
    with Receiver(tls=ours.server_context()) as receiver:
        trusted = {"ca_file": ours.ca_file}
        assert deliver(receiver.url, tls=trusted).outcome is Outcome.DELIVERED
        assert deliver(receiver.url, tls={"ca_file": theirs.ca_file})[:2] == (Outcome.RETRY, "tls")
        assert deliver(receiver.url)[:2] == (Outcome.RETRY, "tls")


def test_a_host_name_that_does_not_match_is_refused_unless_told_otherwise(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    with Receiver(tls=ours.server_context()) as receiver:
        url = receiver.url.replace("127.0.0.1", "127.0.0.2")
        receiver.stop()
        receiver.start(host="127.0.0.2")
        assert deliver(url, tls={"ca_file": ours.ca_file})[:2] == (Outcome.RETRY, "tls")
        loose = {"ca_file": ours.ca_file, "check_hostname": False}
        assert deliver(url, tls=loose).outcome is Outcome.DELIVERED


def test_a_client_certificate_is_shown_where_the_receiver_asks(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    cert_file, key_file = ours.issue("detector", password=b"open sesame")
    shown = {"ca_file": ours.ca_file, "cert_file": cert_file, "key_file": key_file, "key_password": "open sesame"}
    with Receiver(tls=ours.server_context(ask_client=True)) as receiver:
        assert deliver(receiver.url, tls=shown).outcome is Outcome.DELIVERED
        assert deliver(receiver.url, tls={"ca_file": ours.ca_file}).outcome is Outcome.RETRY


def test_configured_headers_are_sent(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("Bearer abc\n")
    with Receiver() as receiver:
        deliver(receiver.url, headers={"Authorization": {"file": tmp_path / "token"}, "X-Team": "night shift"})
        (request,) = receiver.requests
    assert request.headers["authorization"] == "Bearer abc"
    assert request.headers["x-team"] == "night shift"


def test_nothing_secret_is_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    basic = b64encode(b"me:hunter2-password")
    echo = b"you sent hunter2-header to /hunter2-path?token=hunter2-query (hunter2-path, hunter2-query) as " + basic
    with Receiver(Answer(500, body=echo), otherwise=0) as receiver:
        url = receiver.url.replace("http://", "http://me:hunter2-password@") + "/hunter2-path?token=hunter2-query"
        made = sink(url, secrets=[SECRET], headers={"x-key": "hunter2-header"})
        told = [str(made.deliver(entry("webhook"), 1)) for _ in range(2)]
        made.close()
        receiver.stop()
    told.append(str(deliver(url)))
    assert "answered 500: you sent" in told[0]
    assert "hunter2" not in "".join(told) + caplog.text
    assert basic.decode() not in "".join(told)
    assert SECRET.removeprefix("whsec_") not in "".join(told) + caplog.text


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"secrets": [{"file": "/no/such/file"}]}, "sinks[0].secrets[0].file: /no/such/file"),
        ({"tls": {"ca_file": "/no/such/file"}}, "sinks[0].tls.ca_file: /no/such/file"),
        ({"url": "http://example.org/a\tb"}, "sinks[0].url"),
    ],
)
def test_what_cannot_be_used_is_told_at_start(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as told:
        sink(**{"url": "https://example.org/", **settings})
    assert named in str(told.value)
    assert "c2hvcnQ" not in str(told.value)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"secrets": ["whsec_!!!!"]}, "secrets.0"),
        ({"secrets": [SECRET, "whsec_c2hvcnQ="]}, "secrets.1"),
        ({"headers": {"webhook-id": "mine"}}, "`webhook-id` cannot be set"),
        ({"headers": {"x y": "z"}}, "`x y` cannot be set"),
        ({"headers": {"x": "a\r\nb: c"}}, "headers.x"),
        ({"headers": {"x": "ünï"}}, "headers.x"),
    ],
)
def test_what_cannot_be_used_is_no_configuration(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as told:
        sink(**{"url": "https://example.org/", **settings})
    assert named in str(told.value)


@pytest.mark.parametrize(("kind", "held"), [("secrets", "whsec_c2hvcnQ="), ("headers", "two\nlines")])
def test_what_a_file_holds_is_judged_when_it_is_read(tmp_path: Path, kind: str, held: str) -> None:
    (tmp_path / "secret").write_text(held)
    secret = {"file": str(tmp_path / "secret")}
    with pytest.raises(ConfigError, match=rf"^sinks\[0\]\.{kind}.*: expected ") as told:
        sink("https://example.org/", **{kind: [secret] if kind == "secrets" else {"x": secret}})
    assert "c2hvcnQ" not in str(told.value)


def test_closing_twice_is_harmless() -> None:
    made = sink("http://127.0.0.1:9/")
    made.close()
    made.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_a_target_that_leads_inside_is_not_connected_to(host: str) -> None:
    with Receiver() as receiver:
        port = urlsplit(receiver.url).port
        attempt = deliver(f"http://{host}:{port}", allow_networks=[])
        assert receiver.requests == []
    assert (attempt.outcome, attempt.code) == (Outcome.RETRY, "not_allowed")
    assert "allow_networks" in attempt.detail


def test_the_address_that_was_judged_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["127.0.0.1"])

    def resolve_once(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), 0))]

    with Receiver() as receiver:
        port = urlsplit(receiver.url).port
        made = sink(f"http://rebinding.example:{port}/alerts")
        monkeypatch.setattr(made._target._loop, "getaddrinfo", _coroutine(resolve_once))
        attempt = made.deliver(entry("webhook"), 1)
        made.close()
        (request,) = receiver.requests
    assert attempt.outcome is Outcome.DELIVERED
    assert request.headers["host"] == f"rebinding.example:{port}"


def test_an_address_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as receiver:
        made = sink(f"http://127.0.0.1:{urlsplit(receiver.url).port}/alerts")
        monkeypatch.setattr(made._target._loop, "getaddrinfo", None)
        attempt = made.deliver(entry("webhook"), 1)
        made.close()
    assert attempt.outcome is Outcome.DELIVERED


def _coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: object, **kwargs: object) -> Any:
        return function(*args, **kwargs)

    return call
