"""From the configuration to the sinks."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from detector.alerts import dead_letters
from detector.alerts.stdout import StdoutSink
from detector.config import sections

if TYPE_CHECKING:
    from detector.protocols import Sink


def build(config: sections.Config) -> list[Sink]:
    """Return the configured sinks in order, and the one for dead letters where they have a topic.

    No receiver needs to be up. Raises ConfigError where a secret, a certificate or a URL cannot be used.
    """
    sinks = [_sink(settings, f"sinks[{i}]", config.kafka) for i, settings in enumerate(config.sinks)]
    if config.dead_letters.topic is not None:
        sinks.append(_kafka(dead_letters.SINK, config.dead_letters.topic, config.kafka))
    return sinks


def _sink(settings: sections.Sink, place: str, kafka: sections.Kafka) -> Sink:
    match settings:
        case sections.WebhookSink():
            # Here and below: only sinks that are used load their library.
            from detector.alerts.webhook import WebhookSink  # noqa: PLC0415

            return WebhookSink(settings, place)
        case sections.KafkaSink():
            return _kafka(settings.name, settings.topic, kafka)
        case sections.StdoutSink():
            return StdoutSink(settings.name)
        case _:
            assert_never(settings)


def _kafka(name: str, topic: str, kafka: sections.Kafka) -> Sink:
    from detector.alerts.kafka import KafkaSink, alert_message, dead_letter_message  # noqa: PLC0415

    return KafkaSink(name, topic, kafka, dead_letter_message if name == dead_letters.SINK else alert_message)
