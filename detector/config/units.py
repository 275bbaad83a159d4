"""Values as people write them: durations (10s, 20ms, 24h, 7d), sizes (64MB, 4MiB), URLs, times, lists of names."""

from __future__ import annotations

import math
import re
from datetime import datetime
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {
    "": 1,
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")

_PORT = re.compile(r":[0-9]{1,9}$")
_HOST = re.compile(r"[^\s:/@,\[\]]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%\w+)?")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def _quantity(given: object, units: dict[str, float] | dict[str, int], bare: str, example: str) -> object:
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        message = f"expected a quantity such as {example}"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns only ValueError into a located message
    if not isinstance(given, str):
        return given
    match = _QUANTITY.fullmatch(given)
    unit = (match[2] or bare) if match else ""
    if match is None or unit not in units:
        message = f"expected a quantity such as {example} (units: {', '.join(u for u in units if u)})"
        raise ValueError(message)
    return float(match[1]) * units[unit]


def seconds(given: object) -> object:
    """Turn "20ms", "10s", "24h", "7d" or a plain number of seconds into seconds."""
    value = _quantity(given, _SECONDS, "s", "10s, 20ms, 24h or 7d")
    if isinstance(value, float) and not math.isfinite(value):
        message = "expected a finite duration"
        raise ValueError(message)
    return value


def size(given: object) -> object:
    """Turn "64MB", "4MiB" or a plain number of bytes into bytes."""
    value = _quantity(given, _BYTES, "", "64MB or 4MiB")
    return int(value) if isinstance(value, float) and math.isfinite(value) else value


_QUANTITY_SCHEMA = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}

Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0), WithJsonSchema(_QUANTITY_SCHEMA)]
"""A duration in seconds."""

Bytes = Annotated[int, BeforeValidator(size), Field(gt=0), WithJsonSchema(_QUANTITY_SCHEMA)]
"""A size in bytes."""


def number(given: object) -> object:
    """Refuse a truth value: YAML reads `no` as false, and pydantic would read that as 0."""
    if isinstance(given, bool):
        message = "expected a number"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns only ValueError into a located message
    return given


def http_url(given: str) -> str:
    """Check that it is an absolute http or https URL; the message shows no part of it, as URLs may hold secrets."""
    message = "expected a URL such as https://host:port/path"
    try:
        parts = urlsplit(given)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none; its own text would quote the URL
        raise ValueError(message) from None
    if not usable:
        raise ValueError(message)
    return given


def names(given: object) -> object:
    """Turn "a, b" into ["a", "b"], so that one environment variable can hold several names."""
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given


def network(given: str) -> str:
    """Check that it is a network such as 10.0.0.0/8."""
    try:
        ip_network(given)
    except ValueError:
        message = f"expected a network such as 10.0.0.0/8 or fd00::/8, found `{given}`"
        raise ValueError(message) from None
    return given


def server_address(given: str) -> str:
    """Check that it is host:port, of which the port may be left out (9092) and an IPv6 address stands in brackets."""
    host, _, port = given.rpartition(":") if _PORT.search(given) else (given, "", "9092")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not _HOST.fullmatch(bare) or (":" in bare) != (bare != host) or not 0 < int(port) < 65536:
        message = f"expected host:port, such as kafka-1:9092 or [::1]:9092, found `{given}`"
        raise ValueError(message)
    return given


def topic_name(given: str) -> str:
    """Check that Kafka can have a topic of this name."""
    if not _TOPIC.fullmatch(given) or given in {".", ".."}:
        message = "expected the name of a Kafka topic: 1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`"
        raise ValueError(message)
    return given


def instant(given: str) -> float:
    """Turn RFC 3339 text into epoch seconds; ValueError where it is none or names no offset from UTC."""
    message = "expected a time such as 2026-11-01T00:00:00Z"
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise ValueError(message) from None
    if moment.tzinfo is None:
        message += " (with its offset from UTC)"
        raise ValueError(message)
    return moment.timestamp()


NUMBER = BeforeValidator(number)
"""Stands last in Annotated, behind the bounds of an int or a float: those before it show in the JSON Schema."""

Count = Annotated[int, Field(gt=0), NUMBER]
"""A whole number above 0."""

HttpUrl = Annotated[str, AfterValidator(http_url)]
"""An absolute http or https URL."""

Names = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    BeforeValidator(names),
    Field(min_length=1),
    WithJsonSchema(
        {"anyOf": [{"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}, {"type": "string"}]}
    ),
]
"""One or more names; text is split at its commas."""

OptionalNames = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    BeforeValidator(names),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string", "minLength": 1}}, {"type": "string"}]}),
]
"""Any number of names; text is split at its commas."""

Servers = Annotated[Names, AfterValidator(lambda given: [server_address(server) for server in given])]
"""One or more addresses of servers."""

TopicName = Annotated[str, AfterValidator(topic_name)]
"""The name of a Kafka topic."""

TopicNames = Annotated[Names, AfterValidator(lambda given: [topic_name(name) for name in given])]
"""One or more names of Kafka topics; text is split at its commas."""

Networks = Annotated[
    list[Annotated[str, AfterValidator(network)]],
    BeforeValidator(names),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}),
]
"""Any number of IP networks; text is split at its commas."""
