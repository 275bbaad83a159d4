"""When and how a model is clustered anew offline, and what a candidate must show before it is adopted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from detector.config.section import Section
from detector.config.units import NUMBER, Bytes, Count, Seconds


class Dbscan(Section):
    """DBSCAN: clusters are where rows lie dense."""

    eps: Annotated[float, Field(gt=0), NUMBER] | None = None
    """Radius of a neighbourhood, in standard deviations; absent = the knee of the distances to the k-th neighbour."""
    min_samples: Count = 10
    """Rows that make a neighbourhood dense, and the k of the knee. The other algorithms call no fewer a cluster."""


class Hierarchical(Section):
    """Ward's tree; cut at the widest gap between two merges where neither of these is given."""

    distance: Annotated[float, Field(gt=0), NUMBER] | None = None
    """Height at which the tree is cut, in standard deviations."""
    count: Count | None = None
    """Clusters that it is cut into."""

    @model_validator(mode="after")
    def _one_cut(self) -> Hierarchical:
        if self.distance is not None and self.count is not None:
            message = "a tree is cut once: give `distance` or `count`, not both"
            raise ValueError(message)
        return self


class Kmeans(Section):
    """K-Means."""

    k: Count | None = None
    """Clusters; absent = as many as have the best silhouette."""


class Window(Section):
    """The rows that are clustered: a sample that favours the newest. It is in memory, and fills anew after a start."""

    rows: Annotated[int, Field(ge=0), NUMBER] = 4000
    """Rows of each entity (or partition); 0 = keep none, so there is no refit."""
    bytes: Bytes = 32 << 20
    """Memory that a partition's window may take, over all entities."""
    half_life: Seconds = 86400.0
    """Event time after which a row is half as likely to be in it."""
    least: Count = 500
    """Rows that an entity needs in it to be refit."""
    entities: Count = 1000
    """With more entities than these, a partition keeps no window, and its model is not refit."""


class RefitLimits(Section):
    """What the process of a refit may use; one that takes more is ended, and counted."""

    cpu: Seconds = 120.0
    """Processor time."""
    memory: Bytes = 2 << 30
    """Address space, libraries included (they take 1 GiB)."""
    time: Seconds = 600.0
    """Time from start to answer."""
    threads: Count = 1
    """Threads of its linear algebra."""


class Refit(Section):
    """The refit: a window of recent rows is clustered in a process of its own; the result is a candidate, which scores
    the stream beside the model, and is adopted if it describes normal rows better and still flags the anomalous ones.
    """  # noqa: D205 - one sentence

    interval: Seconds | None = None
    """Time between refits of a partition; absent = only when an operator asks (`detector refit`)."""
    algorithm: Literal["dbscan", "hierarchical", "kmeans"] = "dbscan"
    """How the window is clustered."""
    dbscan: Dbscan = Dbscan()
    """Settings of `algorithm: dbscan`."""
    hierarchical: Hierarchical = Hierarchical()
    """Settings of `algorithm: hierarchical`."""
    kmeans: Kmeans = Kmeans()
    """Settings of `algorithm: kmeans`."""
    window: Window = Window()
    """The rows that are clustered."""
    shadow_blocks: Count = 64
    """Blocks for which a candidate scores the stream beside the model before it is decided upon."""
    limits: RefitLimits = RefitLimits()
    """Limits of the process."""
