from __future__ import annotations

import base64
import json
import ssl
from typing import Any
from urllib.parse import parse_qs

import pytest

from detector.config.oauth import EndpointToken
from detector.config.sections import Sasl
from detector.errors import ConfigError
from tests.support.receiver import Answer, Receiver


class Now:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def answer(**fields: Any) -> Answer:
    return Answer(200, {"content-type": "application/json"}, json.dumps(fields).encode())


def endpoint(receiver: Receiver, now: Now | None = None, **settings: Any) -> EndpointToken:
    sasl = {
        "mechanism": "OAUTHBEARER",
        "token_url": receiver.url,
        "client_id": "the id",
        "client_secret": "s:e/c",
        **settings,
    }
    return EndpointToken(Sasl.model_validate(sasl), ssl.create_default_context(), 5.0, now or Now())


def test_the_client_shows_who_it_is_as_oauth_has_it() -> None:
    with Receiver(answer(access_token="t", expires_in=60)) as receiver:
        assert endpoint(receiver, scope="kafka read").token() == "t"
        (request,) = receiver.requests
    assert parse_qs(request.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["kafka read"]}
    scheme, given = request.headers["authorization"].split()
    assert (scheme, base64.b64decode(given)) == ("Basic", b"the%20id:s%3Ae%2Fc")


def test_a_token_is_kept_for_most_of_its_life_and_then_renewed() -> None:
    now = Now()
    with Receiver(answer(access_token="one", expires_in=100), answer(access_token="two", expires_in=100)) as receiver:
        provider = endpoint(receiver, now)
        assert provider.token() == "one"
        now.seconds = 79.0
        assert provider.token() == "one"
        now.seconds = 81.0
        assert provider.token() == "two"
        assert len(receiver.requests) == 2


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (401, "answered 401"),
        (Answer(200, body=b"<html>"), "something else than a token"),
        (Answer(200, body=b"[]"), "something else than a token"),
        (answer(token="t"), "something else than a token"),
        (answer(access_token=""), "an empty token"),
        (answer(access_token="t", expires_in="soon"), "something else than a token"),
    ],
)
def test_an_endpoint_that_gives_no_token_is_told_without_secrets(said: Answer | int, told: str) -> None:
    with Receiver(said) as receiver, pytest.raises(ConfigError, match=told) as error:
        endpoint(receiver).token()
    assert str(error.value).startswith("kafka.sasl.token_url: http://127.0.0.1:")
    assert "s:e/c" not in str(error.value)


def test_an_endpoint_that_is_away_is_an_os_error() -> None:
    with Receiver() as receiver:
        provider = endpoint(receiver)
    with pytest.raises(OSError, match="refused"):
        provider.token()
