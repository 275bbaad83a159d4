"""From an outbox entry to the bytes that a sink sends: a built-in body, or a template of the operator's."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import structlog

from detector.alerts import bodies, messages
from detector.alerts.sample import sample
from detector.alerts.template import Template, UnusableTemplateError
from detector.config.sections import AppriseSink, WebhookSink
from detector.errors import ConfigError
from detector.telemetry.logs import Rarely

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from detector.types import OutboxEntry

    Rendering = Callable[[OutboxEntry], bytes]

log = structlog.get_logger(__name__)


class Templated:
    """Fills in a template; where that fails the built-in body goes out instead, and it is counted."""

    def __init__(self, sink: str, template: Template, otherwise: Rendering, failed: Callable[[str], None]) -> None:
        self._sink = sink
        self._template = template
        self._otherwise = otherwise
        self._failed = failed
        self._trouble = Rarely(log, time.monotonic)

    def __call__(self, entry: OutboxEntry) -> bytes:
        """Return the text that the template makes of an entry, in UTF-8."""
        try:
            rendered = self._template.render(values(entry)).encode()
        except (UnusableTemplateError, UnicodeEncodeError) as error:
            self._failed(self._sink)
            advice = "the built-in body was sent instead; mend the template"
            self._trouble.say("template_failed", sink=self._sink, id=entry.id, detail=str(error), advice=advice)
            return self._otherwise(entry)
        self._trouble.over("template_works", sink=self._sink)
        return rendered


def values(entry: OutboxEntry) -> dict[str, Any]:
    """Return what a template can name: the fields of `messages.Message`."""
    message = messages.read(entry)
    return {
        "id": message.id,
        "status": "firing" if message.firing else "resolved",
        "severity": message.severity,
        "summary": message.summary,
        "labels": message.labels,
        "alerts": message.alerts,
        "left_out": message.left_out,
        "fleet": message.fleet,
        "fleet_over": message.fleet_over,
        "body": message.document,
    }


def rendering(
    settings: WebhookSink | AppriseSink, place: str, failed: Callable[[str], None] = lambda _: None
) -> Rendering:
    """Return what makes the bytes of a sink; `place` is its section's YAML path, for ConfigError."""
    if isinstance(settings, AppriseSink):
        built_in: Rendering = bodies.text
    elif settings.body == "alertmanager":
        built_in = partial(bodies.alertmanager, receiver=settings.name)
    else:
        built_in = bodies.detector
    template = checked(settings.template, settings.template_file, place)
    return built_in if template is None else Templated(settings.name, template, built_in, failed)


def checked(text: str | None, file: Path | None, place: str) -> Template | None:
    """Return the template of a sink, tried on samples; None where it has none.

    Raises ConfigError, with its YAML path, where its file cannot be read or it cannot be used.
    """
    if text is None and file is None:
        return None
    key = f"{place}.template" if file is None else f"{place}.template_file: {file}"
    try:
        template = Template(file.read_text(encoding="utf-8") if file is not None else text or "")
        for resolved in (False, True):
            template.render(values(sample("", 0.0, resolved=resolved)))
    except (OSError, UnicodeDecodeError) as error:
        message = f"{key} cannot be read ({error}); expected a Jinja2 template in UTF-8"
        raise ConfigError(message) from error
    except UnusableTemplateError as error:
        message = f"{key} cannot be used: {error}; expected a Jinja2 template that a message fits in (docs/sinks.md)"
        raise ConfigError(message) from None
    return template
