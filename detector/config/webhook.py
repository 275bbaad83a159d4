"""What a webhook's settings may hold: signing keys as Standard Webhooks 1.0.0 has them, and request headers."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

from pydantic import AfterValidator

from detector.config.section import Secret

_KEY_BYTES = range(24, 65)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OWN_HEADERS = {"webhook-id", "webhook-timestamp", "webhook-signature", "content-length", "transfer-encoding"}


def signing_key(text: str) -> bytes:
    """Return the key of a signing secret (whsec_...); ValueError, without any of it, where it is none."""
    encoded = text.removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in _KEY_BYTES:
        message = (
            "expected whsec_ and the base64 of 24 to 64 random bytes; make one with: "
            "python3 -c \"import base64,secrets;print('whsec_'+base64.b64encode(secrets.token_bytes(32)).decode())\""
        )
        raise ValueError(message)
    return key


def header_name(name: str) -> str:
    """Check that a header may be set; ValueError where it may not."""
    if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
        message = (
            f"the header `{name}` cannot be set: expected a header name other than {', '.join(sorted(_OWN_HEADERS))}"
        )
        raise ValueError(message)
    return name


def header_value(value: str) -> str:
    """Check the value of a header: a line break in it would start a header of its own."""
    if not _HEADER_VALUE.fullmatch(value):
        message = "expected one line of ASCII text without control characters"
        raise ValueError(message)
    return value


def _signing_secret(given: Secret) -> Secret:
    if given.value is not None:
        signing_key(given.value.get_secret_value().strip())
    return given


def _header_secret(given: Secret) -> Secret:
    if given.value is not None:
        header_value(given.value.get_secret_value())
    return given


SigningSecret = Annotated[Secret, AfterValidator(_signing_secret)]
"""A signing secret; one in a file is judged when the file is read."""

HeaderName = Annotated[str, AfterValidator(header_name)]
"""The name of a request header that may be set."""

HeaderValue = Annotated[Secret, AfterValidator(_header_secret)]
"""The value of a request header; one in a file is judged when the file is read."""
