from __future__ import annotations

import pytest

from detector.config.secrecy import MASK, is_secret, shown_url


@pytest.mark.parametrize(
    "name",
    ["password", "sasl_plain_password", "Authorization", "X-Api-Key", "api_key", "secrets", "client_secret", "token"],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["key_file", "token_url", "topic", "key", "partition", "bypass", "entity", "path"])
def test_other_names_are_not_taken_for_secrets(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:hunter2@h:8081/hunter2?x=hunter2#hunter2", "https://h:8081"),
        ("http://h/hunter2", "http://h"),
        ("http://[::1]:80/", "http://[::1]:80"),
        ("hunter2", MASK),
        ("http://h:hunter2/", MASK),
        ("http://[hunter2/", MASK),
    ],
)
def test_of_a_url_only_scheme_host_and_port_are_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown
