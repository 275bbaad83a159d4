from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from detector.config.kafka_client import TOKEN_PROVIDERS, client_arguments
from detector.config.sections import Kafka
from detector.errors import ConfigError
from tests.support.receiver import Authority


def arguments(**settings: Any) -> dict[str, Any]:
    return client_arguments(Kafka.model_validate(settings))


def test_without_tls_and_sasl_it_is_plain() -> None:
    assert arguments(bootstrap_servers=["a:1", "b:2"], client_id="me", request_timeout="2s") == {
        "bootstrap_servers": ["a:1", "b:2"],
        "client_id": "me",
        "request_timeout_ms": 2000,
        "security_protocol": "PLAINTEXT",
    }


def test_tls_is_a_context_that_checks_the_server(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert_file, key_file = authority.issue("detector")
    found = arguments(tls={"ca_file": authority.ca_file, "cert_file": cert_file, "key_file": key_file})
    context = found["ssl_context"]
    assert found["security_protocol"] == "SSL"
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1
    assert not arguments(tls={"check_hostname": False})["ssl_context"].check_hostname


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl_with_a_password(mechanism: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    found = arguments(sasl={"mechanism": mechanism, "username": "me", "password": {"file": tmp_path / "password"}})
    assert found["security_protocol"] == "SASL_PLAINTEXT"
    assert (found["sasl_mechanism"], found["sasl_plain_username"]) == (mechanism, "me")
    assert found["sasl_plain_password"] == "secret"


def test_sasl_over_tls() -> None:
    assert arguments(tls={}, sasl={"mechanism": "PLAIN", "username": "a", "password": "b"})["security_protocol"] == (
        "SASL_SSL"
    )


def test_a_bearer_token_in_a_file_is_read_anew_at_each_login(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    provider: Any = arguments(sasl={"mechanism": "OAUTHBEARER", "token": {"file": file}})["sasl_oauth_token_provider"]
    assert isinstance(provider, TOKEN_PROVIDERS)
    assert (provider.token(), provider.extensions()) == ("first", {})
    file.write_text("second\n")
    assert provider.token() == "second"


def test_a_token_endpoint_is_asked_by_a_provider() -> None:
    sasl = {"mechanism": "OAUTHBEARER", "token_url": "https://idp/token", "client_id": "a", "client_secret": "b"}
    assert isinstance(arguments(sasl=sasl)["sasl_oauth_token_provider"], TOKEN_PROVIDERS)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"tls": {"ca_file": "/no/such"}}, "kafka.tls.ca_file: /no/such"),
        ({"tls": {"cert_file": "/no/such"}}, "kafka.tls.cert_file: /no/such"),
        ({"tls": {"key_file": "/no/such"}}, "kafka.tls.key_file: /no/such"),
        (
            {"sasl": {"mechanism": "PLAIN", "username": "a", "password": {"file": "/no/such"}}},
            "kafka.sasl.password.file: /no/such",
        ),
        ({"sasl": {"mechanism": "OAUTHBEARER", "token": {"file": "/no/such"}}}, "kafka.sasl.token.file: /no/such"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as told:
        arguments(**settings)
    assert named in str(told.value)


def test_a_key_behind_a_password_is_not_asked_for_on_the_terminal(tmp_path: Path) -> None:
    cert_file, key_file = Authority(tmp_path).issue("detector", password=b"sesame")
    files = {"cert_file": cert_file, "key_file": key_file}
    assert arguments(tls={**files, "key_password": "sesame"})["ssl_context"]
    for wrong in ({}, {"key_password": "nonsense"}):
        with pytest.raises(ConfigError, match=r"kafka\.tls\.cert_file.*password"):
            arguments(tls={**files, **wrong})


def test_a_file_that_is_no_certificate_is_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hello")
    with pytest.raises(ConfigError, match=r"kafka\.tls\.ca_file: .*ca\.pem.*PEM"):
        arguments(tls={"ca_file": tmp_path / "ca.pem"})
