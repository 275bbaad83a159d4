"""What is learned, and when."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from detector.config.section import Section
from detector.config.units import NUMBER, Count, Seconds


def _listed(given: object) -> object:
    return [given] if isinstance(given, (int, float, str)) else given


HalfLifeInRows = Annotated[float, Field(gt=0), NUMBER]


KEYED_ROWS = 512
"""Rows of a block with an entity field, where nothing else is said: much of what a block costs, it costs once."""


class Blocks(Section):
    """When the model changes: only at block boundaries, which the log alone decides."""

    rows: Annotated[int, Field(ge=16, le=4096), NUMBER] = 256
    """A block ends when it holds this many rows; left out: 256, or 512 with an entity field, as each entity has but few
    of them."""
    tick: Seconds = 10.0
    """A block ends when the partition's event time enters a new multiple of this."""


class Entities(Section):
    """Bounds on the entities of one partition."""

    limit: Count = 1_000_000
    """Entities known per partition, at most; rows of further ones are not scored, and counted."""
    evict_after: Seconds = 3600.0
    """An entity unseen for this long (event time) leaves memory; its state stays in the store and returns with it."""
    forget_after: Seconds = 30 * 86400.0
    """An entity unseen for this long (event time) is deleted for good."""

    @model_validator(mode="after")
    def _ordered(self) -> Entities:
        if self.forget_after < self.evict_after:
            message = "`forget_after` must not be shorter than `evict_after`"
            raise ValueError(message)
        return self


class HalfLife(Section):
    """How fast the past fades; the faster of the two where both are given, never where neither is."""

    events: Annotated[float, Field(gt=0), NUMBER] | None = 200_000
    """Rows of a slot after which their weight is halved."""
    time: Seconds | None = None
    """Event time after which their weight is halved."""


PROMOTE_COUNT = 500
"""Rows that make what is new normal, where nothing else is said and an entity has so many in the time."""


class Model(Section):
    """The online K-Means of a slot."""

    centroids: Annotated[int, Field(ge=1, le=256), NUMBER] = 16
    """Number of centroids of a member, K."""
    members: Annotated[int, Field(ge=1, le=16), NUMBER] | None = None
    """Models of a slot, seeded differently, whose distances are averaged; absent = 5, or 1 with an entity field."""
    mass: Annotated[float, Field(gt=0, le=1), NUMBER] = 0.8
    """The heaviest centroids that hold this share of the mass define normal (0.95 with the preset `metrics`): else
    each burst of anomalies would get a centroid of its own, and be normal."""
    scale: Literal["auto", "cluster", "within", "total"] = "auto"
    """What a feature's distance is measured by. within (with the preset `metrics`, which smooths): its spread within
    the clusters, so that what the other features foretell of it counts as known. cluster: that, narrowed where the
    cluster that the row is judged by is tighter than all are, and widened where it is looser. total: its spread in all.
    auto = `cluster`, but `total` with one feature or two: many centroids cut these into pieces so narrow that whatever
    lies outside is equally far out."""
    smoothing: Annotated[list[HalfLifeInRows], Field(max_length=8), BeforeValidator(_listed)] | None = None
    """Half-lives in events of the means that a slot's scores are smoothed by; their mean counts, so that what is short
    and strong and what lasts and is weak are both seen ([1, 10, 100] with the preset `metrics`); absent or empty = each
    event is judged by itself. A single number is a list of one."""
    relations: Literal["auto"] | bool = False
    """Whether a row is also judged by what its other features foretell of each, and by how long each has stood still:
    it finds stuck sensors, leaks, and values that are usual but not together, which lie near a centroid. auto (with the
    preset `metrics`) = where there are several features, but no more than 64, or 32 with an entity field: memory of an
    entity and time of a row grow with their square (8 features 1.2 kB, 32 features 8.9 kB). Once they have been learned
    over `promote_after`."""
    gate: Annotated[float, Field(ge=1), NUMBER] | None = None
    """Rows whose score lies beyond this many times the 99.9 % quantile are not learned but kept in quarantine (1.5
    with the preset `metrics`); absent = all rows are learned."""
    promote_count: Literal["auto"] | Count = "auto"
    """Rows after which what is not among the heaviest, or what is in quarantine, may become normal all the same ...;
    auto = 500, or in quarantine as many as who speaks seldom has in nine tenths of `promote_after`, 10 at least."""
    promote_after: Seconds = 86400.0
    """... when they are spread over this much event time."""
    promote_returns: Count | None = None
    """How often what is not among the heaviest must come back, after at least a 24th of `promote_after` each time, to
    count as much as by `promote_count` rows (5 with the preset `metrics`): what is there for a moment every few hours
    takes months to gather the rows, and is no news all the same; absent = only rows count."""
    half_life: HalfLife = HalfLife()
    """How fast the past fades."""
    seed_rows: Annotated[int, Field(ge=8, le=4096), NUMBER] | None = None
    """Rows from which a slot's centroids are seeded (k-means++); absent = 512, or 8 K with an entity field."""
    warm_up: Count = 128
    """Rows that a slot must have learned before its scores count."""


PRESETS: dict[str, dict[str, object]] = {
    "events": {},
    "metrics": {
        "half_life": {"events": None, "time": 7 * 86400.0},
        "mass": 0.95,
        "scale": "within",
        "smoothing": [1, 10, 100],
        "gate": 1.5,
        "promote_returns": 5,
        "relations": "auto",
    },
}
"""What a preset puts in the place of the defaults of `model`."""
