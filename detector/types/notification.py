"""An incident as notification knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from detector.types.alerts import Phase, Reason, Severity
from detector.types.places import Partition


@dataclass(frozen=True, slots=True)
class KnownIncident:
    """An incident as of its last alert; `body` is that alert's own, as detection wrote it.

    id, sequence  of the incident, and of its last alert: an alert of a lower or equal one changes nothing
    kind          `anomaly` or `absence`
    entity        None where there is none, or where many are absent
    start, time   event time of the row that opened it, and of the one that told the last alert, epoch seconds
    peak          its highest score; None where no rows are judged
    shares        mean share of the distance by feature; empty where there is none
    labels        read from the event that opened it
    sinks         the direct sinks that have been told of it
    heard         when its first alert was taken in, and `changed` its last, epoch seconds of the clock
    revision      counts what is taken in: later is greater
    """

    id: str
    sequence: int
    kind: str
    phase: Phase
    reason: Reason | None
    severity: Severity
    partition: Partition
    entity: str | None
    start: float
    time: float
    peak: float | None
    shares: dict[str, float]
    body: bytes
    labels: dict[str, str] = field(default_factory=dict)
    sinks: tuple[str, ...] = ()
    heard: float = 0.0
    changed: float = 0.0
    revision: int = 0

    @property
    def open(self) -> bool:
        """Whether it is not over yet."""
        return self.phase is not Phase.RESOLVE
