"""The sizes and the rules of a model, from the configuration alone: they decide the program and the bank's layout."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from detector.config.detection import Detection
from detector.config.model import PROMOTE_COUNT
from detector.features.layout import columns_of, missing_of, steps_of

STACK = 16
"""Blocks in one call of the program, at most."""
SMALL = 64
"""Rows up to which a block is called for alone, in a frame of its own: most of a padded block would be nothing."""

Frame = tuple[int, int]
"""What a call of the program is padded to: blocks, and rows of each."""

RETURN = 1.0 / 24.0
"""Share of promote_after that a centroid must have won nothing for, to be back when it does: of a day an hour."""

_CALL_CELLS = 1 << 17
"""Centroid values that one call may carry, at most: beyond, copying them costs more than longer stacks save."""
_CALL_SLOTS = 4096
_WITHIN = 3
"""Features from which on the spread within clusters is one: with one feature and 16 centroids a value of five standard
deviations was as far out as one of fifty (both clipped), and neither of them rare enough to be told of."""
_RELATED, _RELATED_KEYED = 64, 32
"""Features up to which relations are kept where that is left to the detector: of entities there may be many."""
_MEMBERS = 5
"""Members of a slot that is a whole partition; an entity has one, so that a million of them fit."""


@dataclass(frozen=True, slots=True)
class Shape:
    """features D, centroids K of each of M members, rows of a block B; `keyed`: slots are entities, not partitions.

    The features are the model's: lags and cycles among them.
    """

    features: int
    centroids: int
    rows: int
    keyed: bool
    members: int = 1

    @property
    def all_centroids(self) -> int:
        """Centroids of all members of a slot, C = M K."""
        return self.members * self.centroids

    @property
    def call_slots(self) -> int:
        """Distinct slots that one call of the program takes, at most (no less than a block may hold)."""
        if not self.keyed:
            return 1
        fitting = _CALL_CELLS // (self.features * self.all_centroids)
        return max(self.rows, min(_CALL_SLOTS, fitting, STACK * self.rows))

    @property
    def frames(self) -> tuple[Frame, Frame]:
        """The frames that the program is compiled for."""
        return (1, min(SMALL, self.rows)), (STACK, self.rows)

    def frame(self, blocks: int, rows: int) -> Frame:
        """Return the smaller frame that holds so many blocks of so many rows at most."""
        small, large = self.frames
        return small if blocks == 1 and rows <= small[1] else large

    def slots_of(self, frame: Frame) -> int:
        """Distinct slots that a call in a frame takes, at most."""
        return min(self.call_slots, frame[0] * frame[1])

    @property
    def traits(self) -> int:
        """Width of a slot's traits: masses C, spreads C, wins C, means D, variances D, weights D, within D, gate."""
        return 3 * self.all_centroids + 4 * self.features + 1

    @property
    def times(self) -> int:
        """Width of a slot's times: when it last learned, and when each centroid first and last won a row, C each."""
        return 1 + 2 * self.all_centroids


@dataclass(frozen=True, slots=True)
class Rules:
    """What the program learns by, and which centroids define normal.

    half_life_events  rows, and half_life_time, seconds, after which weights are halved; None = never
    mass              share of the mass that the heaviest centroids hold which define normal
    within            distances are measured by the features' spread within the clusters, not by their spread in all
    own               and by the spread of the cluster that a row is judged by, half way
    promote_count     rows that any other centroid must have won, over at least promote_after seconds, to define it too
    paced             of slots that speak seldom fewer are enough: see `pace.enough`
    promote_returns   times that it was away and came back, which count as much; None = only rows count
    """

    half_life_events: float | None = None
    half_life_time: float | None = None
    mass: float = 1.0
    within: bool = False
    own: bool = False
    promote_count: int = 500
    promote_after: float = 86400.0
    promote_returns: int | None = None
    paced: bool = False


def rules_of(detection: Detection) -> Rules:
    """Return the rules of a configuration's model."""
    model = detection.model
    half_life, scale = model.half_life, model.scale
    if scale == "auto":
        scale = "cluster" if columns_of(detection.events) >= _WITHIN else "total"
    return Rules(
        half_life.events,
        half_life.time,
        mass=model.mass,
        within=scale in {"cluster", "within"},
        own=scale == "cluster",
        promote_count=PROMOTE_COUNT if model.promote_count == "auto" else model.promote_count,
        promote_after=model.promote_after,
        promote_returns=model.promote_returns,
        paced=model.promote_count == "auto",
    )


def shape_of(detection: Detection) -> Shape:
    """Return the sizes of a configuration's model."""
    events, model = detection.events, detection.model
    keyed = events.entity is not None
    members = model.members or (1 if keyed else _MEMBERS)
    return Shape(columns_of(events), model.centroids, detection.blocks.rows, keyed=keyed, members=members)


def relates(detection: Detection) -> bool:
    """Return whether the relations of a slot's features are kept."""
    relations = detection.model.relations
    if relations != "auto":
        return relations
    most = _RELATED_KEYED if detection.events.entity is not None else _RELATED
    return 1 < columns_of(detection.events) <= most


def seed_rows(detection: Detection) -> int:
    """Return how many rows a slot's centroids are seeded from: few with entities, so that a million of them fit."""
    model = detection.model
    if model.seed_rows is not None:
        return model.seed_rows
    return 8 * model.centroids if detection.events.entity is not None else 512


def form(detection: Detection) -> tuple[object, ...]:
    """Return what the state of a slot is made for: a model of another form begins cold."""
    events = detection.events
    features = tuple(
        (feature.name, feature.path, tuple(steps_of(events, feature)), missing_of(events, feature) == "previous")
        for feature in events.features
    )
    shape = shape_of(detection)
    smoothed = len(detection.model.smoothing or ())
    sizes = shape.centroids, shape.members, seed_rows(detection)
    return features, tuple(events.cycles), events.entity, *sizes, smoothed, relates(detection)


def form_digest(detection: Detection) -> str:
    """Return a short text that is the same for configurations of the same form."""
    return blake2b(repr(form(detection)).encode(), digest_size=8).hexdigest()
