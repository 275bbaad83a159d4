"""How other servers are reached: TLS, SASL, a Kafka cluster, a schema registry."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from detector.config.section import Secret, Section
from detector.config.units import HttpUrl, Seconds, Servers


class Tls(Section):
    """TLS towards a server."""

    ca_file: Path | None = None
    """Certificates to trust (PEM); the system's where absent."""
    cert_file: Path | None = None
    """This daemon's own certificate (PEM), where the server asks for one."""
    key_file: Path | None = None
    """The private key to `cert_file` (PEM)."""
    key_password: Secret | None = None
    """The password of `key_file`."""
    check_hostname: bool = True
    """Whether the server's name must match its certificate."""


class Sasl(Section):
    """SASL towards a Kafka broker."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
    """How to authenticate."""
    username: str | None = None
    """User, for PLAIN and SCRAM."""
    password: Secret | None = None
    """Password, for PLAIN and SCRAM."""
    token: Secret | None = None
    """A fixed bearer token for OAUTHBEARER; with `file:` it is read anew at each login, so it may be rotated."""
    token_url: HttpUrl | None = None
    """An OAuth 2 token endpoint for OAUTHBEARER (client credentials grant)."""
    client_id: str | None = None
    """Client id for `token_url`."""
    client_secret: Secret | None = None
    """Client secret for `token_url`."""
    scope: str | None = None
    """Scope for `token_url`."""

    @model_validator(mode="after")
    def _complete(self) -> Sasl:
        if self.mechanism == "OAUTHBEARER":
            if (self.token is None) == (self.token_url is None):
                message = "OAUTHBEARER needs either `token` or `token_url`"
                raise ValueError(message)
            if self.token_url is not None and (self.client_id is None or self.client_secret is None):
                message = "`token_url` needs `client_id` and `client_secret`"
                raise ValueError(message)
        elif self.username is None or self.password is None:
            message = f"{self.mechanism} needs `username` and `password`"
            raise ValueError(message)
        return self


class Kafka(Section):
    """How to reach a Kafka cluster."""

    bootstrap_servers: Servers = ["127.0.0.1:9092"]
    """host:port of one or more brokers, as a list or as text with commas."""
    tls: Tls | None = None
    """TLS settings; absent = no TLS."""
    sasl: Sasl | None = None
    """SASL settings; absent = none."""
    client_id: str = "detector"
    """The name that the broker's logs and quotas know this daemon by."""
    request_timeout: Seconds = 30.0
    """How long a request may take."""


class Registry(Section):
    """A schema registry that speaks Confluent's API, for Avro."""

    url: HttpUrl
    """Its base URL."""
    username: str | None = None
    """User for basic authentication."""
    password: Secret | None = None
    """Password for basic authentication."""
    tls: Tls = Tls()
    """TLS settings, used with an https URL."""
    timeout: Seconds = 5.0
    """How long one request may take."""
