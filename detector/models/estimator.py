"""The daemon's model as a scikit-learn estimator, for notebooks: the same program, blocks and seeding.

Beside the offline refit the one door to scikit-learn: an estimator has to be one of its classes.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from detector.config.detection import Detection
from detector.config.sections import Alerting, Blocks, Entities, Events, Feature, HalfLife, Model
from detector.models.blocks import Block, usable
from detector.models.partition import PartitionModel
from detector.models.program import SlotStates, StackScores, shared
from detector.models.shape import STACK, Shape
from detector.models.slots import WHOLE
from detector.models.stacking import Turn, assemble
from detector.types import Float32, Float64, Partition, Rows

_NO_TICK = 1e300
"""Blocks of arrays end by their number of rows alone."""


class OnlineKMeans(ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """K-Means that learns block by block and standardises inside its distance, exactly as the daemon does.

    Rows are scored with the model of the last complete block; those of the open block are kept across calls of
    `partial_fit` and learned together once there are `block_rows` of them. The first `seed_rows` rows seed the
    centroids (k-means++); until then there is one, their mean. Wherever X stands, a `tf.data.Dataset` of batches may
    stand too (of pairs, the first part is taken). Missing features are NaN: a row with fewer than half of them is not
    judged, and gets the label -1 and a distance of NaN, as all rows do before the first complete block.

    n_clusters        K, 1 to 256
    half_life_events  rows after which their weight is halved; None = never
    half_life_time    seconds after which it is halved; None = never. Needs `times`.
    block_rows        16 to 4096
    seed_rows         8 to 4096
    random_state      int, RandomState or None, for the seeding

    Attributes after fitting:

    cluster_centers_  float32 [K, D] in the units of the features; where K is larger than the number of distinct rows,
                      those left over repeat the heaviest
    masses_           float32 [K] decayed numbers of rows won; 0 = left over
    n_samples_seen_   rows learned
    n_features_in_    D
    labels_           int32 [n]  after `fit` on an array: nearest centroid of each row
    inertia_          float      after `fit` on an array: sum of their squared distances

    Raises ValueError for parameters outside their range, for values beyond float32 and for what scikit-learn refuses.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's parameters stand in the constructor
        self,
        n_clusters: int = 8,
        *,
        half_life_events: float | None = None,
        half_life_time: float | None = None,
        block_rows: int = 256,
        seed_rows: int = 512,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.half_life_events = half_life_events
        self.half_life_time = half_life_time
        self.block_rows = block_rows
        self.seed_rows = seed_rows
        self.random_state = random_state

    def fit(self, X: Any, y: object = None, *, times: ArrayLike | None = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Learn X [n, D] from nothing, its last rows too; `times` float64 [n] are event times in epoch seconds."""
        self.__dict__.pop("_model", None)
        self.partial_fit(X, y, times=times)
        self._model.finish()
        self._publish()
        if hasattr(X, "as_numpy_iterator"):
            self.__dict__.pop("labels_", None)
            self.__dict__.pop("inertia_", None)
        else:
            scores = self._scores(X)
            self.labels_ = _labels(scores)
            self.inertia_ = float(np.nansum(scores.distance.astype(np.float64) ** 2))
        return self

    def partial_fit(self, X: Any, y: object = None, *, times: ArrayLike | None = None) -> Self:  # noqa: ARG002, N803 - scikit-learn's names
        """Learn the rows of X [n, D] that complete a block, and keep the others until one does."""
        if self.half_life_time is not None and times is None:
            message = "half_life_time needs the rows' `times`"
            raise ValueError(message)
        for batch in _batches(X):
            fresh = "_model" not in vars(self)
            values = self._checked(batch, reset=fresh)
            if fresh:
                self._begin()
            at = np.zeros(len(values)) if times is None else _times(times, len(values))
            places = np.zeros(len(values), np.int64)
            self._model.advance(Rows(places, places.astype(np.int32), at, values))
        if "_model" not in vars(self):
            message = "the dataset holds no batch"
            raise ValueError(message)
        self._publish()
        return self

    def predict(self, X: Any) -> NDArray[np.int32]:  # noqa: N803 - scikit-learn's name
        """Return the number of the centroid nearest to each row [n]; -1 where it cannot be judged."""
        return _labels(self._scores(X))

    def score_samples(self, X: Any) -> Float32:  # noqa: N803 - scikit-learn's name
        """Return how normal each row is [n]: the negative distance to its centroid, NaN where it cannot be judged."""
        return -self._scores(X).distance

    def transform(self, X: Any) -> Float32:  # noqa: N803 - scikit-learn's name
        """Return the distance of each row to each centroid [n, K], NaN where it cannot be judged."""
        check_is_fitted(self)
        return np.concatenate([self._distances(self._checked(batch)) for batch in _batches(X)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        if "_model" in state:  # a compiled program cannot be copied: the model travels as it does to the store
            state["_model"] = (self._model.header(), self._model.bank.pack(self._slot)[0])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = state.pop("_model", None)
        super().__setstate__(state)
        if saved is not None:
            header, slot = saved
            self._begin({WHOLE: slot})
            self._model.restore(header, [(WHOLE, self._model.time)])

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    @property
    def _slot(self) -> NDArray[np.int64]:
        return self._model.slots.find([WHOLE])

    def _begin(self, stored: dict[str, bytes] | None = None) -> None:
        if stored is None:
            self._draw = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

        def load(entities: Sequence[str]) -> dict[str, bytes]:
            return {entity: (stored or {})[entity] for entity in entities}

        partition = Partition(f"random state {self._draw}", 0)
        self._model = PartitionModel(partition, self._detection(), programs=shared, load=load)

    def _detection(self) -> Detection:
        """Return the parameters as the daemon's configuration, which checks them."""
        half_life = HalfLife(events=self.half_life_events, time=self.half_life_time)
        return Detection(
            Events(features=[Feature(name=f"x{d}") for d in range(self.n_features_in_)]),
            Blocks(rows=operator.index(self.block_rows), tick=_NO_TICK),
            Entities(),
            Model(
                centroids=operator.index(self.n_clusters),
                half_life=half_life,
                members=1,
                mass=1.0,
                scale="total",
                seed_rows=operator.index(self.seed_rows),
            ),
            Alerting(),
        )

    def _publish(self) -> None:
        bank, slot = self._model.bank, int(self._slot[0])
        self.masses_ = bank.masses[slot].copy()
        heaviest = bank.centroids[slot, self.masses_.argmax()]
        self.cluster_centers_ = np.where(self.masses_[:, None] > 0, bank.centroids[slot], heaviest)
        self.n_samples_seen_ = int(bank.rows_learned[slot])

    def _checked(self, batch: object, *, reset: bool = False) -> Float64:
        values = validate_data(
            self,
            batch,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_min_samples=1,
        )
        if np.nanmax(np.abs(values), initial=0.0) > np.finfo(np.float32).max:
            message = "Input X contains a value too large for dtype('float32')."
            raise ValueError(message)
        return np.asarray(values, np.float64)

    def _scores(self, X: object) -> StackScores:  # noqa: N803 - scikit-learn's name
        """Score rows with the model of the last complete block; fields as in StackScores, but [n, ...]."""
        check_is_fitted(self)
        states = self._model.bank.gather(self._slot, self._model.shape.frames[-1])
        parts = [self._run(self._checked(batch), states) for batch in _batches(X)]
        return StackScores(*(np.concatenate(field) for field in zip(*parts, strict=True)))

    def _distances(self, values: Float64) -> Float32:
        """Ask the program once for each centroid, as if it were the only one [n, K]."""
        states = self._model.bank.gather(self._slot, self._model.shape.frames[-1])
        columns = []
        for centre in self.cluster_centers_:
            centroids, traits = states.centroids.copy(), states.traits.copy()
            centroids[0, 0] = centre
            traits[0, : len(self.masses_)] = np.arange(len(self.masses_)) == 0
            columns.append(self._run(values, SlotStates(centroids, traits, states.times)).distance)
        return np.stack(columns, axis=1)

    def _run(self, values: Float64, states: SlotStates) -> StackScores:
        """Score rows with those states, learning nothing."""
        shape, size = self._model.shape, STACK * self._model.shape.rows
        results = []
        for start in range(0, len(values), size):
            turns = list(_turns(values[start : start + size].astype(np.float32), shape))
            stack, _ = assemble(turns, shape, self._model.bank.modes)
            distance, *rest = self._model.program(stack, states)[0]
            blocks = [turn.block for turn in turns]
            judged = [np.where(block.usable, distance[t, : len(block)], np.nan) for t, block in enumerate(blocks)]
            others = [np.concatenate([f[t, : len(block)] for t, block in enumerate(blocks)]) for f in rest]
            results.append((np.concatenate(judged).astype(np.float32), *others))
        return StackScores(*(np.concatenate(field) for field in zip(*results, strict=True)))


def _turns(rows: Float32, shape: Shape) -> Iterator[Turn]:
    for start in range(0, len(rows), shape.rows):
        part = rows[start : start + shape.rows]
        slots = np.zeros(len(part), np.int64)
        yield Turn(Block(0, part, slots, usable(part, slots, part.shape[1]), 0.0), 0, start, complete=False)


def _labels(scores: StackScores) -> NDArray[np.int32]:
    return np.where(np.isnan(scores.distance), -1, scores.centroid).astype(np.int32)


def _times(times: ArrayLike, rows: int) -> Float64:
    given = np.asarray(times, np.float64)
    if given.shape != (rows,) or not np.isfinite(given).all():
        message = f"expected {rows} finite times, one a row, but got an array of shape {given.shape}"
        raise ValueError(message)
    return given


def _batches(given: Any) -> Iterator[Any]:
    """Yield the batches of a `tf.data.Dataset`, or the array itself."""
    if not hasattr(given, "as_numpy_iterator"):
        yield given
        return
    for element in given.as_numpy_iterator():
        yield element[0] if isinstance(element, tuple) else element
