"""The TensorFlow program: score a stack of blocks, each with the model that the blocks before it left.

The one door to TensorFlow. The program is a pure function of a stack of blocks and of the states of the slots in it;
everything that lasts is kept in NumPy by the bank. It has one shape per configuration and is compiled once by XLA.

For a row x of a slot with running mean mu, variance var and centroids c_k (all in the units of the features):

    sd   = sqrt(var) + 0.01 |mu| + 1e-9          added, so that a constant feature does not explode
    z    = (x - mu) / sd
    x'   = x where |z| <= 10, else mu +- 10 sd   clipped for assignment and learning (and at mu +- 1e17, always)
    k    = argmin_k sum_d ((x'_d - c_kd) / sd_d)^2
    d^2  = D / |observed| * sum_d [((x'_d - c_kd) / sd_d)^2 + ln^2(max(|z_d|, 10) / 10)]

over the observed features d; a feature of which the slot has learned nothing yet is learned, but counts as missing
here. The difference is taken before anything is squared: the expansion |x|^2 - 2 x.c + |c|^2 cancels in float32.

A complete block is then learned: with n rows of the slot in the block and the keep factor
g = min(2^(-n / half-life in events), 2^(-dt / half-life in time)),

    mass_k  <- g mass_k + n_k
    c_k     <- c_k + sum of (x' - c_k) over the rows it won / mass_k          (Sculley, WWW 2010, as a mini-batch)
    weight, mean, var: exponentially weighted moments with the same g, per feature (Chan, Golub & LeVeque, 1983)
    spread_k <- mean squared distance of the rows it won, weighted by mass

A slot without centroids yet has one: its mean, which arises by the same rule from a mass of 0. Moments are taken about
the old mean, and squares about the block's own, so they do not cancel either; for a new feature the bank puts the first
observed value there.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from detector.models.shape import STACK, Shape
from detector.types import Bool, Float32, Float64, Int32


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep file descriptor 2 quiet: TensorFlow greets there before its own log level counts."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, by descriptor
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


# Bits are promised for CPUs alone; and looking for a GPU's driver is an error in the log of every start.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with _hushed():
    import tensorflow as tf

CLIP = 10.0
"""Standard deviations at which a feature is clipped for assignment and learning."""
_REACH = np.float32(1e17)
"""Values are clipped at this distance from the mean in any case: the squares of a block must not overflow."""
_VAST = np.float32(1e30)
_FAR = np.float32(3e38)
_TINY = np.float32(1e-30)

Tensor = Any
"""TensorFlow ships no types."""


class Stack(NamedTuple):
    """Up to STACK blocks of one partition, padded. T = STACK, B = rows of a block, U = slots of a call, plus one.

    rows       float32 [T, B, D]  NaN = missing
    slot       int32   [T, B]     number of the row's slot within this call; U - 1 = none
    group      int32   [T, B]     number of the row's slot within its block
    members    int32   [T, B]     slot of each group, U - 1 = no such group
    learns     bool    [T, B]     whether the row is learned when its block is complete
    time       float64 [T]        event time at the end of each block, epoch seconds
    blocks     int32              blocks in use
    """

    rows: Float32
    slot: Int32
    group: Int32
    members: Int32
    learns: Bool
    time: Float64
    blocks: int


class SlotStates(NamedTuple):
    """The states of the slots of one call; the last slot is a dummy that takes what belongs to none.

    centroids   float32 [U, K, D]
    traits      float32 [U, 2 K + 3 D]   masses, spreads, means, variances, weights
    learned_at  float64 [U]              event time when the slot last learned
    """

    centroids: Float32
    traits: Float32
    learned_at: Float64


class StackScores(NamedTuple):
    """What the program says of each row.

    distance  float32 [T, B]     NaN where the slot has learned nothing yet of half the features, or they are missing
    centroid  int32   [T, B]     the nearest centroid
    expected  float32 [T, B, D]  its coordinates, 0 where nothing is known of the feature
    parts     float32 [T, B, D]  each feature's part of the squared distance (before the rescaling), 0 where missing
    """

    distance: Float32
    centroid: Int32
    expected: Float32
    parts: Float32


class Program:
    """The compiled program of one shape.

    half_life_events and half_life_time (seconds) may be None: no decay of that kind.
    """

    def __init__(self, shape: Shape, half_life_events: float | None, half_life_time: float | None) -> None:
        self.shape = shape
        self.half_life_events = half_life_events
        self.half_life_time = half_life_time
        function = tf.function(self._stack, jit_compile=True, autograph=False)
        # Calling the one concrete function spares TensorFlow the search for it, half a millisecond a call.
        self._compiled = function.get_concrete_function(*self._signature())

    def __call__(self, stack: Stack, states: SlotStates) -> tuple[StackScores, SlotStates]:
        """Score and learn a stack; the arrays given are left as they were."""
        shape, slots = self.shape, self.shape.call_slots + 1
        flat = states.centroids.reshape(slots * shape.centroids, shape.features)
        distance, centroid, expected, parts, centroids, traits, learned_at = self._compiled(
            tuple(tf.constant(field) for field in stack[:-1]),
            tf.constant(stack.blocks, tf.int32),
            (tf.constant(flat), tf.constant(states.traits), tf.constant(states.learned_at)),
        )
        return (
            StackScores(distance.numpy(), centroid.numpy(), expected.numpy(), parts.numpy()),
            SlotStates(centroids.numpy().reshape(states.centroids.shape), traits.numpy(), learned_at.numpy()),
        )

    def warm_up(self) -> None:
        """Compile now rather than at the first row."""
        stack, blocks, state = self._signature()
        self._compiled(*tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), (stack, blocks, state)))

    def _signature(self) -> Tensor:
        shape, slots = self.shape, self.shape.call_slots + 1
        grid = (STACK, shape.rows)
        stack = (
            tf.TensorSpec((*grid, shape.features), tf.float32),
            tf.TensorSpec(grid, tf.int32),
            tf.TensorSpec(grid, tf.int32),
            tf.TensorSpec(grid, tf.int32),
            tf.TensorSpec(grid, tf.bool),
            tf.TensorSpec((STACK,), tf.float64),
        )
        state = (
            tf.TensorSpec((slots * shape.centroids, shape.features), tf.float32),
            tf.TensorSpec((slots, shape.traits), tf.float32),
            tf.TensorSpec((slots,), tf.float64),
        )
        return stack, tf.TensorSpec((), tf.int32), state

    def _stack(self, stack: Tensor, blocks: Tensor, state: Tensor) -> Tensor:
        """Take as many turns as there are blocks; each sees what the one before it left."""
        grid, features = (STACK, self.shape.rows), self.shape.features

        def turn(t: Tensor, scores: Tensor, state: Tensor) -> Tensor:
            block = _Block(*(field[t] for field in stack))
            scored = self._score(block, *state[:2])
            scores = tuple(
                tf.tensor_scatter_nd_update(all_, [[t]], one[None])
                for all_, one in zip(scores, scored[:4], strict=True)
            )
            return t + 1, scores, self._learn(block, scored, *state)

        nothing = (
            tf.zeros(grid),
            tf.zeros(grid, tf.int32),
            tf.zeros((*grid, features)),
            tf.zeros((*grid, features)),
        )
        _, scores, state = tf.while_loop(lambda t, *_: t < blocks, turn, (tf.constant(0), nothing, state))
        return (*scores, *state)

    def _score(self, block: _Block, centroids: Tensor, traits: Tensor) -> _Scored:
        """Distance, nearest centroid, its coordinates and the features' parts; then what learning needs of them."""
        shape = self.shape
        per_slot = (-1, shape.centroids, shape.features)
        mass, _, mean, var, weight = self._split(tf.gather(traits, block.slot))
        mean, known = _known(mean), weight > 0
        seen = tf.math.is_finite(block.rows)
        judged = tf.logical_and(seen, known)
        x = tf.where(seen, block.rows, 0.0)
        sd = tf.sqrt(var) + 0.01 * tf.abs(mean) + 1e-9
        offset = x - mean
        reach = tf.where(known, tf.minimum(CLIP * sd, _REACH), _REACH)
        beyond = tf.abs(offset) > reach
        clipped = tf.where(beyond, mean + tf.sign(offset) * reach, x)
        at, scale = tf.where(judged, clipped, 0.0), tf.where(judged, 1.0 / sd, 0.0)
        difference = (at[:, None, :] - tf.gather(tf.reshape(centroids, per_slot), block.slot)) * scale[:, None, :]
        squares = tf.where(mass > 0, tf.minimum(tf.reduce_sum(difference * difference, -1), _VAST), _FAR)
        nearest = _first_least(squares)
        expected = tf.gather(centroids, block.slot * shape.centroids + nearest)
        inside = (at - expected) * scale
        z = tf.minimum(tf.minimum(tf.abs(offset), _FAR) * scale, _VAST)
        outside = tf.math.log(tf.maximum(z, CLIP) / CLIP)
        parts = tf.minimum(inside * inside + outside * outside, _VAST)
        count = tf.reduce_sum(tf.cast(judged, tf.float32), -1)
        distance = tf.sqrt(tf.reduce_sum(parts, -1) * (shape.features / tf.maximum(count, 1.0)))
        distance = tf.where(2.0 * count >= shape.features, distance, np.nan)
        shown, observed = tf.where(known, expected, 0.0), tf.cast(seen, tf.float32)
        return _Scored(distance, nearest, shown, parts, expected, clipped, observed, mean)

    def _learn(self, block: _Block, scored: _Scored, centroids: Tensor, traits: Tensor, learned_at: Tensor) -> Tensor:
        """Return the state after the block; where no row learns, the very same bits."""
        shape = self.shape
        learned = tf.cast(block.learns, tf.float32)
        observed = scored.observed * learned[:, None]
        delta = observed * (scored.clipped - scored.mean)
        wins = self._by_centroid(block, scored.nearest, learned)
        errors = self._by_centroid(block, scored.nearest, learned * tf.reduce_sum(scored.parts, -1))
        count, total = tf.split(self._by_group(block, tf.concat([observed, delta], 1)), 2, axis=1)
        offset = total / tf.maximum(count, 1.0)
        within = self._by_group(block, (observed * (delta - tf.gather(offset, block.group))) ** 2)
        old = tf.gather(traits, block.members)
        mass, spread, old_mean, var, weight = self._split(old)
        n = tf.reduce_sum(wins, -1, keepdims=True)
        keep = self._keep(n, block.time - tf.gather(learned_at, block.members))
        new_mass = keep * mass + wins
        new_spread = (keep * mass * spread + errors) / tf.maximum(new_mass, _TINY)
        new_weight = keep * weight + count
        inverse = 1.0 / tf.maximum(new_weight, _TINY)
        before, now = keep * weight * inverse, count * inverse
        new_var = tf.where(count > 0, before * var + within * inverse + before * now * offset * offset, var)
        mean = tf.where(count > 0, _known(old_mean) + now * offset, old_mean)
        changed = tf.concat([new_mass, new_spread, mean, new_var, new_weight], 1)
        moved = self._move(block, scored, observed, learned, old_mass=mass, new_mass=new_mass, new_mean=_known(mean))
        at = block.slot * shape.centroids + scored.nearest
        return (
            tf.tensor_scatter_nd_add(centroids, at[:, None], moved),
            tf.tensor_scatter_nd_update(traits, block.members[:, None], tf.where(n > 0, changed, old)),
            tf.tensor_scatter_nd_max(learned_at, block.members[:, None], tf.where(n[:, 0] > 0, block.time, -np.inf)),
        )

    def _move(  # noqa: PLR0913 - the inner part of _learn, by the names it has there
        self,
        block: _Block,
        scored: _Scored,
        observed: Tensor,
        learned: Tensor,
        *,
        old_mass: Tensor,
        new_mass: Tensor,
        new_mean: Tensor,
    ) -> Tensor:
        """How far each row draws its centroid [B, D]: a centroid without mass starts at the slot's mean."""
        at = block.group * self.shape.centroids + scored.nearest
        fresh = tf.gather(tf.reshape(old_mass, [-1]), at)[:, None] <= 0
        share = 1.0 / tf.maximum(tf.gather(tf.reshape(new_mass, [-1]), at), _TINY)[:, None]
        pull = tf.where(
            fresh,
            learned[:, None] * (tf.gather(new_mean, block.group) - scored.nearest_at),
            observed * (scored.clipped - scored.nearest_at),
        )
        return pull * share

    def _keep(self, n: Tensor, passed: Tensor) -> Tensor:
        """Return the share of the past that is kept [B, 1]: n rows were learned, `passed` seconds after the last."""
        keep = tf.ones_like(n)
        if self.half_life_events is not None:
            keep = tf.pow(np.float32(2.0), -n / np.float32(self.half_life_events))
        if self.half_life_time is not None:
            halvings = tf.cast(tf.maximum(passed, 0.0) / self.half_life_time, tf.float32)[:, None]
            keep = tf.minimum(keep, tf.pow(np.float32(2.0), -halvings))
        return keep

    def _by_group(self, block: _Block, values: Tensor) -> Tensor:
        """Add up the rows' values [B, W] by the slots of the block [B, W]."""
        return tf.tensor_scatter_nd_add(tf.zeros_like(values), block.group[:, None], values)

    def _by_centroid(self, block: _Block, nearest: Tensor, values: Tensor) -> Tensor:
        """Add up the rows' values [B] by the slots of the block and their centroids [B, K]."""
        grid = (self.shape.rows, self.shape.centroids)
        place = block.group * self.shape.centroids + nearest
        return tf.reshape(tf.tensor_scatter_nd_add(tf.zeros(grid[0] * grid[1]), place[:, None], values), grid)

    def _split(self, traits: Tensor) -> Tensor:
        k, d = self.shape.centroids, self.shape.features
        return tf.split(traits, [k, k, d, d, d], axis=1)


def _first_least(values: Tensor) -> Tensor:
    """Return the place of the least of each row's values [B, K]: the first of equal ones.

    XLA compiles an argmin to a loop over single values; this takes a fifth of its time.
    """
    places = tf.range(values.shape[-1], dtype=tf.int32)
    least = tf.reduce_min(values, -1, keepdims=True)
    return tf.reduce_min(tf.where(values <= least, places, values.shape[-1] - 1), -1)


def _known(mean: Tensor) -> Tensor:
    """Put 0 for the mean of a feature that was never observed (NaN in the bank)."""
    return tf.where(tf.math.is_finite(mean), mean, 0.0)


class _Block(NamedTuple):
    """One block of a stack."""

    rows: Tensor
    slot: Tensor
    group: Tensor
    members: Tensor
    learns: Tensor
    time: Tensor


class _Scored(NamedTuple):
    """The scores of a block, and what learning needs of them."""

    distance: Tensor
    nearest: Tensor
    expected: Tensor
    parts: Tensor
    nearest_at: Tensor
    clipped: Tensor
    observed: Tensor
    mean: Tensor


def fingerprint() -> str:
    """Name what the bits depend on beside the log: TensorFlow and NumPy, the instruction set, this program."""
    source = hashlib.blake2b(inspect.getsource(sys.modules[__name__]).encode(), digest_size=4).hexdigest()
    return f"tensorflow {tf.__version__}, numpy {np.__version__}, {_instruction_set()}, program {source}"


def _instruction_set() -> str:
    """Return the vector extensions that change how sums and logarithms are rounded."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:  # noqa: PTH123 - a device file
            flags = next((line.split() for line in lines if line.startswith("flags")), [])
    except OSError:
        flags = []
    return "+".join([platform.machine(), *(flag for flag in ("fma", "avx2", "avx512f") if flag in flags)])
