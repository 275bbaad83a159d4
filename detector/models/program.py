"""The TensorFlow program: score a stack of blocks, each with the model that the blocks before it left.

The one door to TensorFlow. The program is a pure function of a stack of blocks and of the states of the slots in it;
everything that lasts is kept in NumPy by the bank. It has one shape per configuration and is compiled once by XLA.

For a row x of a slot with running mean mu, variance var and centroids c_k (all in the units of the features):

    sd   = sqrt(var + (x - mu)^2 / (w + 1)) + 0.01 |mu| + 1e-9
           x counts as one more of the w rows learned: of a feature that was constant so far nobody knows the scale, and
           |z| stays under sqrt(w + 1); the rest is added so that a constant metric does not explode
    z    = (x - mu) / sd
    x'   = x where |z| <= 10, else mu +- 10 sd   clipped for assignment and learning (and at mu +- 1e17, always)
    k    = argmin_k sum_d ((x'_d - c_kd) / sd_d)^2
    j    = the same among the centroids that define normal
    r    = |x - c_j| / s
    d^2  = D / |observed| * sum_d [min(r_d, 10)^2 + ln^2(max(r_d, 10) / 10)]
    s    = sqrt(within + (x - c_j)^2 / (w + 1)) + 0.01 |mu| + 1e-9, or sd where the rules say so
           within = running variance about the nearest centroid: what the clusters foretell of a feature is known, and
           only what is left of it measures surprise (the pooled within-class variance: Fisher, 1936)
           r is bounded in the very scale it is measured in: within a cluster a heavy-tailed feature easily lies a
           hundred of its spreads out, and would outweigh all others together; the logarithm keeps the order beyond

What explains a row is told from the centroid e that most of its features agree with, so that the few that are to blame
do not drag it to one that the others would have to answer for (they did: of faults in 3 of 16 features that the three
largest shares named, there were 91 to 97 %, and are more than 99 %):

    e       = argmin_k sum_d g(((x'_d - c_kd) / sd_d)^2), g(q) = q / (1 + q)   (Geman & McClure, 1985), among those of
              the first member that define normal
    parts_d = min(r_d, 10)^2 + ln^2(max(r_d, 10) / 10)                                   with r and s as for c_e

A row's distance is the mean over the members of its slot. Which centroids define normal is in Rules. The sums go over
the observed features d; a feature of which the slot has learned nothing yet is learned, but counts as missing here. The
difference is taken before anything is squared: the expansion |x|^2 - 2 x.c + |c|^2 cancels in float32.

A complete block is then learned: with n rows of the slot in the block and the keep factor
g = min(2^(-n / half-life in events), 2^(-dt / half-life in time)),

    mass_k  <- g mass_k + n_k
    c_k     <- c_k + sum of (x' - c_k) over the rows it won / mass_k          (Sculley, WWW 2010, as a mini-batch)
    weight, mean, var, within: exponentially weighted moments with the same g, per feature (Chan, Golub & LeVeque, 1983)
    spread_k <- mean squared distance of the rows it won, weighted by mass

A slot without centroids yet has one: its mean, which arises by the same rule from a mass of 0. Moments are taken about
the old mean, and squares about the block's own, so they do not cancel either; for a new feature the bank puts the first
observed value there.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import platform
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.models.lending import lendable
from detector.models.scale import CLIP
from detector.models.shape import Frame, Rules, Shape
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

_REACH = np.float32(1e17)
"""Values are clipped at this distance from the mean in any case: the squares of a block must not overflow."""
_VAST = np.float32(1e30)
_FAR = np.float32(3e38)
_TINY = np.float32(1e-30)

Tensor = Any
"""TensorFlow ships no types."""


def use_one_thread() -> None:
    """Let programs run on the thread that calls them; no bit depends on it.

    A block is too little work to share: handing parts of it to another thread takes longer than to do them. Where
    TensorFlow has begun to work already it keeps the threads that it has.
    """
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


class Stack(NamedTuple):
    """Blocks of one partition, padded to a frame of T blocks and B rows. U = slots of such a call, plus one.

    rows     float32 [T, B, D]  NaN = missing
    slot     int32   [T, B]     number of the row's slot within this call; U - 1 = none
    group    int32   [T, B]     number of the row's slot within its block
    present  int32   [T, B]     slot of each group, U - 1 = no such group
    learns   bool    [T, B]     whether the row may be learned when its block is complete
    time     float64 [T]        event time at the end of each block, epoch seconds
    blocks   int32              blocks in use
    """

    rows: Float32
    slot: Int32
    group: Int32
    present: Int32
    learns: Bool
    time: Float64
    blocks: int

    @property
    def frame(self) -> Frame:
        """Blocks and rows that it is padded to."""
        blocks, rows, _ = self.rows.shape
        return blocks, rows


class SlotStates(NamedTuple):
    """The states of the slots of one call; the last slot is a dummy that takes what belongs to none.

    A slot's centroids are those of its first member, then those of the next: C = M K.

    centroids  float32 [U, C, D]
    traits     float32 [U, 3 C + 4 D + 1]  masses, spreads, wins, means, variances, weights, variances within the
                                         clusters, learning gate (0 = none)
    times      float64 [U, 1 + 2 C]        event time when the slot last learned, when each centroid first and last won
    """

    centroids: Float32
    traits: Float32
    times: Float64


class StackScores(NamedTuple):
    """What the program says of each row.

    distance  float32 [T, B]     mean of its members'; NaN where the slot has learned nothing yet of half the features,
                                 or they are missing
    centroid  int32   [T, B]     the nearest of the centroids that define normal
    expected  float32 [T, B, D]  coordinates of the centroid that explains, 0 where nothing is known of the feature
    parts     float32 [T, B, D]  each feature's part of the squared distance from that, 0 where missing
    """

    distance: Float32
    centroid: Int32
    expected: Float32
    parts: Float32


class Program:
    """The compiled program of one shape and one set of rules."""

    def __init__(self, shape: Shape, rules: Rules) -> None:
        self.shape = shape
        self.rules = rules
        # Calling concrete functions spares TensorFlow the search for them, half a millisecond a call.
        self._compiled = {frame: self._function(frame) for frame in shape.frames}

    def _function(self, frame: Frame) -> Tensor:
        function = tf.function(self._stack, jit_compile=True, autograph=False)
        return function.get_concrete_function(*self._signature(frame))

    def __call__(self, stack: Stack, states: SlotStates) -> tuple[StackScores, SlotStates]:
        """Score and learn a stack; the arrays given are left as they were, those returned are read-only."""
        flat = states.centroids.reshape(-1, self.shape.features)
        distance, centroid, expected, parts, centroids, traits, times = map(
            np.asarray,  # without a copy, which `numpy()` would make
            self._compiled[stack.frame](
                tuple(map(_lent, stack[:-1])),
                _lent(np.array(stack.blocks, np.int32)),
                (_lent(flat), _lent(states.traits), _lent(states.times)),
            ),
        )
        return (
            StackScores(distance, centroid, expected, parts),
            SlotStates(centroids.reshape(states.centroids.shape), traits, times),
        )

    def warm_up(self) -> None:
        """Compile now rather than at the first row: both frames at once, each of which takes seconds."""

        def compile_(frame: Frame) -> None:
            arguments = self._signature(frame)
            self._compiled[frame](*tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), arguments))

        with ThreadPoolExecutor(len(self._compiled)) as threads:
            list(threads.map(compile_, self._compiled))

    def _signature(self, frame: Frame) -> Tensor:
        shape, slots = self.shape, self.shape.slots_of(frame) + 1
        stack = (
            tf.TensorSpec((*frame, shape.features), tf.float32),
            tf.TensorSpec(frame, tf.int32),
            tf.TensorSpec(frame, tf.int32),
            tf.TensorSpec(frame, tf.int32),
            tf.TensorSpec(frame, tf.bool),
            tf.TensorSpec(frame[:1], tf.float64),
        )
        state = (
            tf.TensorSpec((slots * shape.all_centroids, shape.features), tf.float32),
            tf.TensorSpec((slots, shape.traits), tf.float32),
            tf.TensorSpec((slots, shape.times), tf.float64),
        )
        return stack, tf.TensorSpec((), tf.int32), state

    def _stack(self, stack: Tensor, blocks: Tensor, state: Tensor) -> Tensor:
        """Take as many turns as there are blocks; each sees what the one before it left."""
        grid, features = stack[1].shape, self.shape.features

        def turn(t: Tensor, scores: Tensor, state: Tensor) -> Tensor:
            block = _Block(*(field[t] for field in stack))
            scored = self._score(block, *state)
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

    def _score(self, block: _Block, centroids: Tensor, traits: Tensor, times: Tensor) -> _Scored:
        """Distance, nearest centroid, what was expected and the features' parts; then what learning needs of them."""
        shape = self.shape
        mass, _, _, mean, var, weight, within, _ = self._split(tf.gather(traits, block.slot))
        mean, known = _known(mean), weight > 0
        seen = tf.math.is_finite(block.rows)
        judged = tf.logical_and(seen, known)
        x = tf.where(seen, block.rows, 0.0)
        offset = x - mean
        itself = tf.minimum(offset * offset, _VAST) / (weight + 1.0)
        sd = tf.sqrt(var + itself) + 0.01 * tf.abs(mean) + 1e-9
        reach = tf.where(known, tf.minimum(CLIP * sd, _REACH), _REACH)
        beyond = tf.abs(offset) > reach
        clipped = tf.where(beyond, mean + tf.sign(offset) * reach, x)
        at, scale = tf.where(judged, clipped, 0.0), tf.where(judged, 1.0 / sd, 0.0)
        per_slot = tf.reshape(centroids, (-1, shape.all_centroids, shape.features))
        # Of a whole partition all rows are one slot's, which need not be copied for each of them.
        own = tf.gather(per_slot, block.slot) if shape.keyed else per_slot[:1]
        difference = (at[:, None, :] - own) * scale[:, None, :]
        squares = tf.where(mass > 0, tf.minimum(tf.reduce_sum(difference * difference, -1), _VAST), _FAR)
        nearest = self._nearest(squares)
        if self.rules.mass < 1.0:
            normal = self._normal(block, traits, times)
            judge = self._nearest(tf.where(normal, squares, _FAR))
        else:
            normal, judge = mass > 0, nearest
        z = tf.minimum(tf.minimum(tf.abs(offset), _FAR) * scale, _VAST)
        outside = tf.math.log(tf.maximum(z, CLIP) / CLIP)
        outside = outside * outside
        standing = tf.gather(centroids, (block.slot * shape.all_centroids)[:, None] + judge)

        def apart(point: Tensor, of: Callable[[Tensor], Tensor]) -> Tensor:
            """Parts of the squared distance to a point [B, D] or to points [B, M, D]; `of` makes shapes alike."""
            gap = tf.where(of(judged), tf.clip_by_value(of(x) - point, -_FAR, _FAR), 0.0)
            if self.rules.within:
                itself = tf.minimum(gap * gap, _VAST) / of(weight + 1.0)
                inside = tf.abs(gap) / (tf.sqrt(of(within) + itself) + of(0.01 * tf.abs(mean) + 1e-9))
            else:
                inside = tf.abs(gap) * of(scale)
            core, beyond = tf.minimum(inside, CLIP), tf.math.log(tf.clip_by_value(inside, CLIP, _VAST) / CLIP)
            return core * core + beyond * beyond

        parts = apart(standing, lambda each: each[:, None, :])
        count = tf.reduce_sum(_ones(judged), -1)
        each = tf.sqrt(tf.reduce_sum(parts, -1) * (shape.features / tf.maximum(count, 1.0))[:, None])
        distance = tf.where(2.0 * count >= shape.features, tf.reduce_mean(each, -1), np.nan)
        closest = _first_least(each)[:, None]
        centroid = tf.gather(judge, closest, batch_dims=1)[:, 0]
        likely = tf.gather(centroids, block.slot * shape.all_centroids + self._teller(difference, normal))
        expected = tf.where(known, likely, 0.0)
        told = apart(likely, lambda each: each)
        least = tf.reduce_min(tf.reshape(squares, (-1, shape.members, shape.centroids)), -1)
        least = tf.where(least < _FAR, least, 0.0)  # of a slot without centroids none is far
        errors = tf.minimum(least + tf.reduce_sum(outside, -1, keepdims=True), _VAST)
        nearest_at = tf.gather(centroids, (block.slot * shape.all_centroids)[:, None] + nearest)
        return _Scored(distance, centroid, expected, told, nearest, errors, nearest_at, clipped, _ones(seen), mean)

    def _nearest(self, squares: Tensor) -> Tensor:
        """Return the number of each member's nearest centroid [B, M] among all of the slot's [B, C]."""
        shape = self.shape
        within = _first_least(tf.reshape(squares, (-1, shape.members, shape.centroids)))
        return within + tf.range(shape.members, dtype=tf.int32) * shape.centroids

    def _teller(self, difference: Tensor, normal: Tensor) -> Tensor:
        """Return the number of the centroid that most features of each row agree with [B], of its slot's first member.

        None counts for more than 1, however far it is out: the few that are to blame must not drag the row to a
        centroid that the others would have to answer for.
        """
        k = self.shape.centroids
        squares = difference[:, :k] * difference[:, :k]
        apart = tf.reduce_sum(squares / (1.0 + squares), -1)
        return _first_least(tf.where(normal[:, :k], apart, _FAR))

    def _normal(self, block: _Block, traits: Tensor, times: Tensor) -> Tensor:
        """Tell which centroids of each row's slot define normal [B, C].

        A centroid is among the heaviest when those heavier hold less than the share; of equal ones the first counts
        as the heavier. The slots are the last axis, along which XLA takes many at once.
        """
        shape, rules = self.shape, self.rules
        slots, row = (block.present, block.group) if shape.keyed else (tf.range(2), block.slot)
        mass, _, wins, *_ = self._split(tf.gather(traits, slots))
        _, first, last = tf.split(tf.gather(times, slots), [1, shape.all_centroids, shape.all_centroids], axis=1)
        by_member = tf.reshape(tf.transpose(mass), (shape.members, shape.centroids, -1))
        above = tf.zeros_like(by_member)
        for k in range(shape.centroids):  # a reduction over all pairs would write them to memory first
            other, later = by_member[:, k : k + 1], (np.arange(shape.centroids) > k)[:, None]
            heavier = tf.logical_or(other > by_member, tf.logical_and(other >= by_member, later))
            above += tf.where(heavier, other, 0.0)
        heavy = above < np.float32(rules.mass) * tf.reduce_sum(by_member, 1, keepdims=True)
        heavy = tf.transpose(tf.reshape(heavy, (shape.all_centroids, -1)))
        proven = tf.logical_and(wins >= rules.promote_count, last - first >= rules.promote_after)
        return tf.gather(tf.logical_and(mass > 0, tf.logical_or(heavy, proven)), row)

    def _learn(self, block: _Block, scored: _Scored, centroids: Tensor, traits: Tensor, times: Tensor) -> Tensor:
        """Return the state after the block; where no row learns, the very same bits."""
        shape = self.shape
        old = tf.gather(traits, block.present)
        mass, spread, wins, old_mean, var, weight, within, gate = self._split(old)
        limit = tf.gather(gate[:, 0], block.group)
        gated = tf.logical_and(limit > 0, scored.distance > limit)
        learned = tf.cast(tf.logical_and(block.learns, tf.logical_not(gated)), tf.float32)
        observed = scored.observed * learned[:, None]
        delta = observed * (scored.clipped - scored.mean)
        d = shape.features
        sums = self._by_group(block, tf.concat([observed, delta, learned[:, None]], 1))
        count, total, n = tf.split(sums, [d, d, 1], axis=1)
        won = self._by_centroid(block, scored.nearest, tf.repeat(learned[:, None], shape.members, 1))
        errors = self._by_centroid(block, scored.nearest, learned[:, None] * scored.errors)
        offset = total / tf.maximum(count, 1.0)
        about = self._by_group(block, (observed * (delta - tf.gather(offset, block.group))) ** 2)
        apart = tf.reduce_mean((scored.clipped[:, None, :] - scored.nearest_at) ** 2, 1)
        around = self._by_group(block, observed * apart)
        old_times = tf.gather(times, block.present)
        keep = self._keep(n, block.time - old_times[:, 0])
        new_mass = keep * mass + won
        new_spread = (keep * mass * spread + errors) / tf.maximum(new_mass, _TINY)
        new_weight = keep * weight + count
        inverse = 1.0 / tf.maximum(new_weight, _TINY)
        before, now = keep * weight * inverse, count * inverse
        new_var = tf.where(count > 0, before * var + about * inverse + before * now * offset * offset, var)
        new_within = tf.where(count > 0, before * within + around * inverse, within)
        mean = tf.where(count > 0, _known(old_mean) + now * offset, old_mean)
        changed = tf.concat([new_mass, new_spread, wins + won, mean, new_var, new_weight, new_within, gate], 1)
        moved = self._move(block, scored, observed, learned, old_mass=mass, new_mass=new_mass, new_mean=_known(mean))
        at = (block.slot * shape.all_centroids)[:, None] + scored.nearest
        passed = self._passed(block.time, n, won, wins, old_times)
        return (
            tf.tensor_scatter_nd_add(centroids, tf.reshape(at, (-1, 1)), tf.reshape(moved, (-1, d))),
            tf.tensor_scatter_nd_update(traits, block.present[:, None], tf.where(n > 0, changed, old)),
            tf.tensor_scatter_nd_max(times, block.present[:, None], passed),
        )

    def _passed(self, now: Tensor, n: Tensor, won: Tensor, wins: Tensor, old: Tensor) -> Tensor:
        """Return the times of the slots in a block after it [B, 1 + 2 C]; they never go back."""
        c = self.shape.all_centroids
        learned, first, last = tf.split(old, [1, c, c], axis=1)
        wins_now = won > 0
        return tf.concat(
            [
                tf.where(n > 0, now, learned),
                tf.where(tf.logical_and(wins_now, wins <= 0), now, first),
                tf.where(wins_now, now, last),
            ],
            1,
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
        """How far each row draws its centroids [B, M, D]: a centroid without mass starts at the slot's mean."""
        at = (block.group * self.shape.all_centroids)[:, None] + scored.nearest
        fresh = (tf.gather(tf.reshape(old_mass, [-1]), at) <= 0)[:, :, None]
        share = (1.0 / tf.maximum(tf.gather(tf.reshape(new_mass, [-1]), at), _TINY))[:, :, None]
        pull = tf.where(
            fresh,
            learned[:, None, None] * (tf.gather(new_mean, block.group)[:, None, :] - scored.nearest_at),
            observed[:, None, :] * (scored.clipped[:, None, :] - scored.nearest_at),
        )
        return pull * share

    def _keep(self, n: Tensor, passed: Tensor) -> Tensor:
        """Return the share of the past that is kept [B, 1]: n rows were learned, `passed` seconds after the last."""
        rules, keep = self.rules, tf.ones_like(n)
        if rules.half_life_events is not None:
            keep = tf.pow(np.float32(2.0), -n / np.float32(rules.half_life_events))
        if rules.half_life_time is not None:
            halvings = tf.cast(tf.maximum(passed, 0.0) / rules.half_life_time, tf.float32)[:, None]
            keep = tf.minimum(keep, tf.pow(np.float32(2.0), -halvings))
        return keep

    def _by_group(self, block: _Block, values: Tensor) -> Tensor:
        """Add up the rows' values [B, W] by the slots of the block [B, W]."""
        return tf.tensor_scatter_nd_add(tf.zeros_like(values), block.group[:, None], values)

    def _by_centroid(self, block: _Block, nearest: Tensor, values: Tensor) -> Tensor:
        """Add up the rows' values [B, M] by the slots of the block and their centroids [B, C]."""
        grid = (nearest.shape[0], self.shape.all_centroids)
        place = tf.reshape((block.group * grid[1])[:, None] + nearest, (-1, 1))
        added = tf.tensor_scatter_nd_add(tf.zeros(grid[0] * grid[1]), place, tf.reshape(values, [-1]))
        return tf.reshape(added, grid)

    def _split(self, traits: Tensor) -> Tensor:
        c, d = self.shape.all_centroids, self.shape.features
        return tf.split(traits, [c, c, c, d, d, d, d, 1], axis=1)


def _first_least(values: Tensor) -> Tensor:
    """Return the place of the least value along the last axis: the first of equal ones.

    XLA compiles an argmin to a loop over single values; this takes a fifth of its time.
    """
    places = tf.range(values.shape[-1], dtype=tf.int32)
    least = tf.reduce_min(values, -1, keepdims=True)
    return tf.reduce_min(tf.where(values <= least, places, values.shape[-1] - 1), -1)


def _lent(array: NDArray[Any]) -> Tensor:
    """Return the array as a tensor in the same memory."""
    return tf.experimental.dlpack.from_dlpack(lendable(array).__dlpack__())


def _ones(flags: Tensor) -> Tensor:
    return tf.cast(flags, tf.float32)


def _known(mean: Tensor) -> Tensor:
    """Put 0 for the mean of a feature that was never observed (NaN in the bank)."""
    return tf.where(tf.math.is_finite(mean), mean, 0.0)


class _Block(NamedTuple):
    """One block of a stack."""

    rows: Tensor
    slot: Tensor
    group: Tensor
    present: Tensor
    learns: Tensor
    time: Tensor


class _Scored(NamedTuple):
    """The scores of a block, and what learning needs of them."""

    distance: Tensor
    centroid: Tensor
    expected: Tensor
    parts: Tensor
    nearest: Tensor
    errors: Tensor
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
