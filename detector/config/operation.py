"""How the daemon keeps what it knows and tells of itself."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from detector.config.section import Secret, Section
from detector.config.units import NUMBER, Bytes, Count, Seconds, TopicName

_NAME = re.compile(r"(?=.{1,253}$)([a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?)(\.(?!$)[a-zA-Z0-9_-]{1,63})*\.?")


def _host(given: str) -> str:
    try:
        ipaddress.ip_address(given.partition("%")[0])
    except ValueError:
        if not _NAME.fullmatch(given) or given.replace(".", "").isdecimal():
            message = (
                "expected an address or a name of this machine alone, such as 127.0.0.1, 0.0.0.0, ::1 or localhost"
            )
            raise ValueError(message) from None
    return given


class DeadLetters(Section):
    """Where rejected records are kept."""

    topic: TopicName | None = None
    """A Kafka topic; absent = the dead-letter table of the store alone."""
    keep: Count = 10_000
    """Rejected records kept in the table per partition; the oldest leave first."""
    max_bytes: Bytes = 64 << 20
    """Bytes of dead letters waiting for their topic, per partition; when full the source pauses."""


class Checkpointing(Section):
    """When state is saved."""

    interval: Seconds = 10.0
    """Time between checkpoints."""
    max_alert_delay: Seconds = 0.02
    """An alert is durable within this time."""


class Store(Section):
    """The folder of the state."""

    path: Path = Path("detector-state")
    """The folder; made if absent. It serves one machine."""
    keep_events: Annotated[int, Field(ge=0), NUMBER] = 10_000
    """Events with a score of 2 or more that are kept of each partition for `detector explain`, and as many of those at
    or beyond the threshold; 0 = none."""


class Http(Section):
    """Metrics and health over HTTP."""

    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    """Address, or name of an address, of this machine to listen on; 0.0.0.0 and :: = all."""
    port: Annotated[int, Field(ge=0, le=65535), NUMBER] = 9108
    """Port to listen on; 0 = any free one, told in the log."""
    enabled: bool = True
    """Whether to listen at all."""
    reload_token: Secret | None = None
    """Who is not on this machine may ask for a reload (POST /-/reload) with this as its bearer token; without it,
    nobody elsewhere may."""


class Log(Section):
    """The daemon's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is written."""
    format: Literal["auto", "json", "console"] = "auto"
    """JSON lines or text for people; auto = text on a terminal."""
