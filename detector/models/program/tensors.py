"""The door to TensorFlow: the one import of it, and the small things that the parts of the program share."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.models.lending import lendable
from detector.models.shape import Shape

__all__ = [
    "FAR",
    "REACH",
    "TINY",
    "VAST",
    "Tensor",
    "TensorBlock",
    "TensorScores",
    "first_least",
    "known_mean",
    "lent",
    "ones",
    "split",
    "tf",
    "use_one_thread",
]


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

REACH = np.float32(1e17)
"""Values are clipped at this distance from the mean in any case: the squares of a block must not overflow."""
VAST = np.float32(1e30)
FAR = np.float32(3e38)
TINY = np.float32(1e-30)

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


def first_least(values: Tensor) -> Tensor:
    """Return the place of the least value along the last axis: the first of equal ones.

    XLA compiles an argmin to a loop over single values; this takes a fifth of its time.
    """
    places = tf.range(values.shape[-1], dtype=tf.int32)
    least = tf.reduce_min(values, -1, keepdims=True)
    return tf.reduce_min(tf.where(values <= least, places, values.shape[-1] - 1), -1)


def lent(array: NDArray[Any]) -> Tensor:
    """Return the array as a tensor in the same memory."""
    return tf.experimental.dlpack.from_dlpack(lendable(array).__dlpack__())


def ones(flags: Tensor) -> Tensor:
    """Return 1 where a flag is set, else 0."""
    return tf.cast(flags, tf.float32)


def known_mean(mean: Tensor) -> Tensor:
    """Put 0 for the mean of a feature that was never observed (NaN in the bank)."""
    return tf.where(tf.math.is_finite(mean), mean, 0.0)


def split(shape: Shape, traits: Tensor) -> Tensor:
    """Return masses, spreads and wins [n, C], means, variances, weights and variances within [n, D], gates [n, 1]."""
    c, d = shape.all_centroids, shape.features
    return tf.split(traits, [c, c, c, d, d, d, d, 1], axis=1)


class TensorBlock(NamedTuple):
    """One block of a stack."""

    rows: Tensor
    slot: Tensor
    group: Tensor
    present: Tensor
    learns: Tensor
    time: Tensor


class TensorScores(NamedTuple):
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
