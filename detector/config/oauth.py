"""Bearer tokens for SASL OAUTHBEARER: fixed, from a file, or from an OAuth 2 token endpoint."""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

from detector.config.secrecy import shown_url
from detector.config.tls import reveal
from detector.errors import ConfigError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from detector.config.sections import Sasl, Secret

_ANSWER_LIMIT = 1 << 20
_REFRESH_SHARE = 0.8  # a token is renewed when this share of its life is over, as Kafka's own clients do


class FixedToken:
    """A token provider, in the shape that kafka-python asks for: the secret as it stands at each login."""

    def __init__(self, token: Secret, place: str) -> None:
        self._token = token
        self._place = place

    def token(self) -> str:
        """Return the token; ConfigError where its file cannot be read."""
        return reveal(self._token, self._place)

    def extensions(self) -> dict[str, str]:
        """Return the SASL extensions: none."""
        return {}


class EndpointToken:
    """A token provider, in the shape that kafka-python asks for: client credentials grant (RFC 6749, 4.4).

    kafka-python asks at each login to a broker, so a token is kept until most of its life is over. Thread-safe.
    """

    def __init__(
        self, sasl: Sasl, tls: ssl.SSLContext, timeout: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        assert sasl.token_url is not None  # the section's validator has seen to all three
        assert sasl.client_id is not None
        assert sasl.client_secret is not None
        self._url = sasl.token_url
        self._client_id = sasl.client_id
        self._client_secret = sasl.client_secret
        self._scope = sasl.scope
        self._tls = tls
        self._timeout = timeout
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept = ""
        self._renew_at = 0.0

    def token(self) -> str:
        """Return a valid token; OSError where the endpoint cannot be reached, ConfigError where it refuses."""
        with self._lock:
            if not self._kept or self._monotonic() >= self._renew_at:
                self._fetch()
            return self._kept

    def extensions(self) -> dict[str, str]:
        """Return the SASL extensions: none."""
        return {}

    def _fetch(self) -> None:
        started = self._monotonic()
        try:
            with urllib.request.urlopen(self._request(), timeout=self._timeout, context=self._tls) as answer:  # noqa: S310 - the section takes http and https alone
                fields = json.loads(answer.read(_ANSWER_LIMIT))
            token = fields["access_token"]
            life = float(fields.get("expires_in", 300))
        except urllib.error.HTTPError as error:
            with error:
                message = self._explain(
                    f"answered {error.code} {error.reason}", "check client_id, client_secret, scope"
                )
            raise ConfigError(message) from None
        except (KeyError, TypeError, ValueError, AttributeError):
            message = self._explain("answered something else than a token", "expected JSON with access_token")
            raise ConfigError(message) from None
        if not isinstance(token, str) or not token:
            message = self._explain("answered an empty token", "expected text in access_token")
            raise ConfigError(message)
        self._kept = token
        self._renew_at = started + life * _REFRESH_SHARE

    def _request(self) -> urllib.request.Request:
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        user = urllib.parse.quote(self._client_id, safe="")
        password = urllib.parse.quote(reveal(self._client_secret, "kafka.sasl.client_secret"), safe="")
        return urllib.request.Request(  # noqa: S310 - the section takes http and https alone
            self._url,
            data=urllib.parse.urlencode(form).encode(),
            headers={
                "Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode(),
                "Accept": "application/json",
            },
        )

    def _explain(self, found: str, advice: str) -> str:
        return f"kafka.sasl.token_url: {shown_url(self._url)} {found}; {advice}"
