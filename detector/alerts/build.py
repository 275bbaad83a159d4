"""From the configuration to the sinks."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from detector.alerts import dead_letters
from detector.alerts.rendering import rendering
from detector.alerts.stdout import StdoutSink
from detector.config import sections

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.protocols import Sink


def build(config: sections.Config, template_failed: Callable[[str], None] = lambda _: None) -> list[Sink]:
    """Return the configured sinks in order.

    No receiver needs to be up. `template_failed` is told the name of a sink whose template could not be used for a
    message. Raises ConfigError where a secret, a certificate, a URL or a template cannot be used.
    """
    return [sink(settings, f"sinks[{i}]", config.kafka, template_failed) for i, settings in enumerate(config.sinks)]


def build_letters(config: sections.Config) -> list[Sink]:
    """Return the sink for dead letters where they have a topic; ConfigError as `build`."""
    topic = config.dead_letters.topic
    return [] if topic is None else [_kafka(dead_letters.SINK, topic, config.kafka)]


def sink(settings: sections.Sink, place: str, kafka: sections.Kafka, template_failed: Callable[[str], None]) -> Sink:
    """Return one sink; `place` is its section's YAML path."""
    # Here and below: only sinks that are used load their library.
    match settings:
        case sections.WebhookSink():
            from detector.alerts.webhook import WebhookSink  # noqa: PLC0415

            return WebhookSink(settings, place, rendering(settings, place, template_failed))
        case sections.AlertmanagerSink():
            from detector.alerts.alertmanager import AlertmanagerSink  # noqa: PLC0415

            return AlertmanagerSink(settings, place)
        case sections.AppriseSink():
            from detector.alerts.apprise import AppriseSink  # noqa: PLC0415

            return AppriseSink(settings, place, rendering(settings, place, template_failed))
        case sections.KafkaSink():
            return _kafka(settings.name, settings.topic, kafka)
        case sections.StdoutSink():
            return StdoutSink(settings.name)
        case _:
            assert_never(settings)


def _kafka(name: str, topic: str, kafka: sections.Kafka) -> Sink:
    from detector.alerts.kafka import KafkaSink, dead_letter_message, message  # noqa: PLC0415

    return KafkaSink(name, topic, kafka, dead_letter_message if name == dead_letters.SINK else message)
