"""The decoder that the configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.decoding.plan import compile_plan

if TYPE_CHECKING:
    from detector.config.sections import Events
    from detector.protocols import Decoder


def build(events: Events) -> Decoder:
    """Build the decoder for `events.format`.

    Raises ConfigError, naming the place, where a path or a combination of settings cannot be used. Only Avro's
    decoder may raise later: RegistryUnavailableError from `decode`, while its schema registry is away.
    """
    plan = compile_plan(events)
    # Each format's library is loaded for that format alone: pyarrow by itself takes longer than `detector check` may.
    if events.format == "arrow":
        from detector.decoding.arrow import ArrowDecoder  # noqa: PLC0415 - see above

        return ArrowDecoder(plan)
    if events.format == "avro":
        from detector.decoding.avro import AvroDecoder  # noqa: PLC0415 - see above
        from detector.decoding.registry import Registry  # noqa: PLC0415 - see above

        assert events.registry is not None
        return AvroDecoder(plan, Registry(events.registry))
    from detector.decoding.json import JsonDecoder  # noqa: PLC0415 - see above

    return JsonDecoder(plan)
