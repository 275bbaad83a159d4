"""From the Kafka section to the keyword arguments that every kafka-python client takes.

Both doors to Kafka, the source and the sinks, start from these; kafka-python itself is not imported here.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from detector.config.oauth import EndpointToken, FixedToken
from detector.config.tls import reveal, tls_context

if TYPE_CHECKING:
    from detector.config.sections import Kafka, Sasl

TOKEN_PROVIDERS: tuple[type[FixedToken], type[EndpointToken]] = (FixedToken, EndpointToken)
"""kafka-python takes only subclasses of its AbstractTokenProvider: a door registers these with it before use
(`AbstractTokenProvider.register`), as nothing here may import kafka."""


def client_arguments(kafka: Kafka) -> dict[str, Any]:
    """Return bootstrap_servers, client_id, request_timeout_ms, and what TLS and SASL need.

    Raises ConfigError where a certificate, a key or a secret cannot be read.
    """
    return {
        "bootstrap_servers": list(kafka.bootstrap_servers),
        "client_id": kafka.client_id,
        "request_timeout_ms": round(kafka.request_timeout * 1000),
        "security_protocol": ("SASL_" if kafka.sasl else "") + ("SSL" if kafka.tls else "PLAINTEXT"),
        **({"ssl_context": tls_context(kafka.tls, "kafka.tls")} if kafka.tls else {}),
        **(_sasl_arguments(kafka.sasl, kafka) if kafka.sasl else {}),
    }


def _sasl_arguments(sasl: Sasl, kafka: Kafka) -> dict[str, Any]:
    chosen: dict[str, Any] = {"sasl_mechanism": sasl.mechanism}
    if sasl.mechanism != "OAUTHBEARER":
        assert sasl.password is not None  # the section's validator has seen to it
        password = reveal(sasl.password, "kafka.sasl.password")
        return chosen | {"sasl_plain_username": sasl.username, "sasl_plain_password": password}
    if sasl.token is not None:
        reveal(sasl.token, "kafka.sasl.token")  # an unreadable file is told at start, not at the first login
        return chosen | {"sasl_oauth_token_provider": FixedToken(sasl.token, "kafka.sasl.token")}
    # A token endpoint may be the brokers' neighbour or a public service: it may show a certificate of either's CA.
    trust = ssl.create_default_context()
    if kafka.tls is not None and kafka.tls.ca_file is not None:
        trust.load_verify_locations(kafka.tls.ca_file)
    return chosen | {"sasl_oauth_token_provider": EndpointToken(sasl, trust, kafka.request_timeout)}
