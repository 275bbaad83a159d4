"""What operators say of regions, as control records and headers of checkpoints hold it."""

from __future__ import annotations

import msgspec

NORMAL, FAULT = "normal", "fault"
VERDICTS = (NORMAL, FAULT)


class Said(msgspec.Struct, frozen=True):
    """One verdict in force; `entity` None = every entity of the partition, `until` is event time (None = no end).

    centre, scale  D numbers each; None where the feature was never observed
    """

    id: str
    verdict: str
    entity: str | None
    until: float | None
    features: list[str]
    centre: list[float | None]
    scale: list[float | None]
