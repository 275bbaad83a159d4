"""The decoder that the configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.decoding.plan import compile_plan
from detector.errors import ConfigError

if TYPE_CHECKING:
    from detector.config.sections import Events
    from detector.protocols import Decoder


def build(events: Events) -> Decoder:
    """Build the decoder for `events.format`.

    Raises ConfigError, naming the place, where a path or a combination of settings cannot be used. Only Avro's
    decoder may raise later: RegistryUnavailableError from `decode`, while its schema registry is away.
    """
    plan = compile_plan(events)
    if events.format != "json":
        message = f"events.format: {events.format!r} cannot be decoded yet; expected json"
        raise ConfigError(message)
    # The format's library is loaded for that format alone.
    from detector.decoding.json import JsonDecoder  # noqa: PLC0415 - see above

    return JsonDecoder(plan)
