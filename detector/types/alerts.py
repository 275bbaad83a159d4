"""What detection finds: incidents, and the alerts that tell of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from detector.types.places import Partition, Position


class Direction(StrEnum):
    """Which way a feature is off."""

    RISE = "rise"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class FeatureShare:
    """One feature of the model in an event. `observed` and `expected` are in its own units; shares add up to 1.

    share  0 where its filter leaves the feature out
    """

    name: str
    observed: float | None
    expected: float
    share: float

    @property
    def direction(self) -> Direction | None:
        """Which way it is off; None where it is missing, or as expected."""
        if self.observed is None or self.observed == self.expected:
            return None
        return Direction.RISE if self.observed > self.expected else Direction.DROP


class Phase(StrEnum):
    """What happened to an incident."""

    OPEN = "open"
    UPDATE = "update"
    RESOLVE = "resolve"


class Reason(StrEnum):
    """Why an incident was updated (the first two) or resolved."""

    SEVERITY = "severity"
    REPEAT = "repeat"
    RECOVERED = "recovered"
    NO_DATA = "no_data"
    RETURNED = "returned"
    GIVEN_UP = "given_up"
    FORGOTTEN = "forgotten"


class Severity(StrEnum):
    """How far out an incident has been."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as of one of its messages.

    id         hash of the row that opened it; `sequence` numbers its messages from 1
    start      event time of that row, epoch seconds; `duration` is the event time that has passed since
    peak       its highest score so far; `peak_at_least`: the reference supported no more
    count      anomalous rows so far; of an absence, the entities that were
    shares     shares of the squared distance of the alert's features, mean of those rows, in their order; they
               add up to 1, or are all 0 where the features have changed since
    region     of each feature the mean and the standard deviation over those rows, each of which counts by how far
               out it is; None where the feature was never observed, or is a cycle of the time; () where not known
    """

    id: str
    sequence: int
    start: float
    duration: float
    peak: float
    peak_at_least: bool
    count: int
    shares: tuple[float, ...]
    region: tuple[tuple[float, float] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """The entity's own row, by which an alert is told.

    score        -log10(rate), rate = expected share of normal events at least this far out
    at_least     the reference is too small to support more than `score`
    distance     raw standardised distance to the nearest centroid
    block        number of the block whose model scored the row; model_version counts cold starts and adoptions
    centroid     number of the nearest centroid
    since        event time since which the entity's scores have stayed high (see `models.drift`), epoch seconds; None
                 where the row's is not
    imputed      configured features that were missing, and for which another value stood in
    missing_share  share of the configured features that were missing, whether or not another value stood in
    confidence   in 0..1: the share of features that were observed, times the share of the distance that they have
    """

    score: float
    at_least: bool
    distance: float
    threshold: float
    since: float | None
    model_version: int
    block: int
    centroid: int
    features: tuple[FeatureShare, ...]
    imputed: tuple[str, ...] = ()
    missing_share: float = 0.0
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as detection writes it: a function of the log alone, so a replay yields the same bytes.

    id        its incident's and its number in it
    kind      what it is about: `anomaly` or `absence`
    position  of the row by which it is told, and that row's event time, epoch seconds
    finding   that row; None where it is another entity's, as this one has stopped
    names     of the model's features, in the order of the configuration
    sources   the configured feature that each of them comes from; "" for a cycle of the event time
    absent    the entities that are, the first of them where there are many; none where it is an anomaly
    labels    of the row that opened the incident, by the names that the configuration gives them
    """

    id: str
    kind: str
    phase: Phase
    reason: Reason | None
    severity: Severity
    partition: Partition
    position: Position
    entity: str | None
    time: float
    incident: Incident
    finding: Finding | None
    names: tuple[str, ...]
    sources: tuple[str, ...]
    absent: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
