"""Where alerts go: the sinks, and the outbox in which messages wait for them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from detector.config.connection import Tls
from detector.config.section import Secret, Section
from detector.config.units import NUMBER, Count, HttpUrl, Networks, Seconds, TopicName
from detector.config.webhook import HeaderName, HeaderValue, SigningSecret

BodyName = Literal["detector", "alertmanager"]
"""A built-in body."""

Name = Annotated[str, Field(description="Its name in metrics and logs.")]

Direct = Annotated[
    bool,
    Field(
        description="Whether each alert goes out at once and by itself, as programs like it; else in messages for "
        "people: grouped, repeated, silenced."
    ),
]

Template = Annotated[str, Field(min_length=1)]
"""A Jinja2 template."""


def _without_api(url: str) -> str:
    """Return the URL of an Alertmanager without what the sink puts behind it."""
    if re.search(r"/api/v1(/alerts)?/?$", url):
        message = "Alertmanager's API v1 is no more; give its URL alone, such as http://127.0.0.1:9093"
        raise ValueError(message)
    return re.sub(r"/api(/v2(/alerts)?)?/*$", "", url)


class Receiving(Section):
    """What has a receiver that takes messages one by one, and may be slow or away."""

    timeout: Seconds = 20.0
    """How long one attempt may take."""
    collapse: bool = False
    """Whether of an incident's messages only the last counts: those that still wait are dropped for a later one."""
    allow_networks: Networks = []
    """Networks, such as 10.0.0.0/8, that the URL may lead to although they are not on the public internet (loopback,
    private and link-local addresses are refused else), as a list or as text with commas."""


class Posting(Receiving):
    """What posts over HTTP."""

    tls: Tls = Tls()
    """TLS settings, used with an https URL."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Further request headers, such as Authorization."""
    concurrency: Annotated[int, Field(gt=0, le=64), NUMBER] = 1
    """Calls that may be under way at once; whatever it is, messages of one incident keep their order."""


class Templated(Section):
    """What sends a text of the operator's making where one is given."""

    template: Template | None = None
    """A Jinja2 template of what is sent, instead of what is built in."""
    template_file: Path | None = None
    """A file that holds the template."""

    @model_validator(mode="after")
    def _one_template(self) -> Self:
        if self.template is not None and self.template_file is not None:
            message = "give `template` or `template_file`, not both"
            raise ValueError(message)
        return self


class WebhookSink(Posting, Templated):
    """Alerts by HTTP POST, signed as Standard Webhooks 1.0.0 has it."""

    kind: Literal["webhook"] = "webhook"
    """A webhook."""
    name: Name = "webhook"
    direct: Direct = False
    url: HttpUrl
    """Where to post."""
    secrets: list[SigningSecret] = []
    """Signing secrets (whsec_...), the newest first: a message is signed with each, so that they can be rotated.
    Empty items are left out; without any, messages go unsigned."""
    body: BodyName = "detector"
    """What is posted: `detector`, the message as its JSON schema has it (`detector schema --help` tells them), or
    `alertmanager`, as Alertmanager posts to its webhooks (format version 4)."""

    @field_validator("secrets", mode="before")
    @classmethod
    def _leave_out_absent(cls, given: object) -> object:
        # `- ${OLD_SECRET:-}` is an empty item, so that rotation needs no change of the file.
        return [item for item in given if item is not None] if isinstance(given, list) else given


class AppriseSink(Receiving, Templated):
    """Messages to a chat, a pager or a mailbox, through apprise: a title, and the summary with a line an incident."""

    kind: Literal["apprise"] = "apprise"
    """A service that apprise knows."""
    name: Name = "apprise"
    direct: Direct = False
    url: Secret
    """The service, with the tokens that it asks for, as apprise has it (https://appriseit.com/services/): a secret."""


class KafkaSink(Section):
    """Alerts to a Kafka topic, keyed by entity."""

    kind: Literal["kafka"] = "kafka"
    """A Kafka topic."""
    name: Name = "kafka"
    direct: Direct = True
    topic: TopicName
    """The topic."""


class StdoutSink(Section):
    """Alerts as JSON lines on standard output."""

    kind: Literal["stdout"] = "stdout"
    """Standard output."""
    name: Name = "stdout"
    direct: Direct = True


class AlertmanagerSink(Posting):
    """Alerts to Prometheus' Alertmanager, which groups, repeats, silences and inhibits them itself."""

    kind: Literal["alertmanager"] = "alertmanager"
    """An Alertmanager."""
    name: Name = "alertmanager"
    url: Annotated[HttpUrl, AfterValidator(_without_api)]
    """Where it is, with or without /api/v2 at its end; one sink for each Alertmanager of a cluster."""
    resend_interval: Seconds = 60.0
    """An open incident is sent again after so much time; Alertmanager takes it for resolved when it has heard nothing
    of it for four times as long."""
    username: str | None = None
    """User, where it asks for basic authentication."""
    password: Secret | None = None
    """That user's password."""
    token: Secret | None = None
    """A bearer token, where it asks for one instead."""

    @property
    def direct(self) -> bool:
        """Always, as Alertmanager groups, repeats and silences by itself."""
        return True

    @model_validator(mode="after")
    def _one_identity(self) -> AlertmanagerSink:
        if (self.username is None) != (self.password is None):
            message = "give `username` and `password`, or neither"
            raise ValueError(message)
        given = {name.lower() for name in self.headers}
        if (self.username is not None) + (self.token is not None) + ("authorization" in given) > 1:
            message = "give `username` and `password`, or `token`, or a header Authorization, not more than one of them"
            raise ValueError(message)
        return self


Sink = Annotated[WebhookSink | AlertmanagerSink | AppriseSink | KafkaSink | StdoutSink, Field(discriminator="kind")]


class Outbox(Section):
    """Where alerts wait for their delivery."""

    max_alerts: Count = 100_000
    """Messages that may wait for one sink, and alerts of one partition; beyond, reading waits for the receiver."""
