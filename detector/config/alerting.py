"""From which score on an event is anomalous, and where alerts go."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from detector.config.connection import Tls
from detector.config.section import Section
from detector.config.units import NUMBER, Count, HttpUrl, Networks, Seconds, TopicName
from detector.config.webhook import HeaderName, HeaderValue, SigningSecret


class Alerting(Section):
    """From which score on an event is anomalous."""

    false_alarm_rate: Annotated[float, Field(ge=1e-6, le=1e-1), NUMBER] = 1e-4
    """The share of normal events that may be flagged; an event is anomalous from score -log10 of it."""
    critical_decades: Annotated[float, Field(ge=0), NUMBER] = 2.0
    """How many decades beyond the threshold an incident is `critical` rather than `warning`."""
    reference: Annotated[int, Field(ge=1000), NUMBER] = 100_000
    """Recent scores of the partition, half-life in events, that a rate is judged against."""
    warm_up: Annotated[int, Field(ge=100), NUMBER] = 1_000
    """Scores that the reference must hold before anything alerts."""


class WebhookSink(Section):
    """Alerts by HTTP POST, signed as Standard Webhooks 1.0.0 has it."""

    kind: Literal["webhook"] = "webhook"
    """A webhook."""
    name: str = "webhook"
    """Its name in metrics and logs."""
    url: HttpUrl
    """Where to post."""
    secrets: list[SigningSecret] = []
    """Signing secrets (whsec_...), the newest first: a message is signed with each, so that they can be rotated.
    Empty items are left out; without any, messages go unsigned."""
    timeout: Seconds = 20.0
    """How long one attempt may take."""
    tls: Tls = Tls()
    """TLS settings, used with an https URL."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Further request headers, such as Authorization."""
    allow_networks: Networks = []
    """Networks, such as 10.0.0.0/8, that the URL may lead to although they are not on the public internet (loopback,
    private and link-local addresses are refused else), as a list or as text with commas."""

    @field_validator("secrets", mode="before")
    @classmethod
    def _leave_out_absent(cls, given: object) -> object:
        # `- ${OLD_SECRET:-}` is an empty item, so that rotation needs no change of the file.
        return [item for item in given if item is not None] if isinstance(given, list) else given


class KafkaSink(Section):
    """Alerts to a Kafka topic, keyed by entity."""

    kind: Literal["kafka"] = "kafka"
    """A Kafka topic."""
    name: str = "kafka"
    """Its name in metrics and logs."""
    topic: TopicName
    """The topic."""


class StdoutSink(Section):
    """Alerts as JSON lines on standard output."""

    kind: Literal["stdout"] = "stdout"
    """Standard output."""
    name: str = "stdout"
    """Its name in metrics and logs."""


Sink = Annotated[WebhookSink | KafkaSink | StdoutSink, Field(discriminator="kind")]


class Outbox(Section):
    """Where alerts wait for their delivery."""

    max_alerts: Count = 100_000
    """Alerts of one partition that may wait for one sink; beyond, reading waits for the receiver."""
