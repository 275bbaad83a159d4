"""Which centroids define what is normal."""

from __future__ import annotations

import numpy as np

from detector.models.program.tensors import Tensor, TensorBlock, split, tf
from detector.models.shape import Rules, Shape


def normal_centroids(shape: Shape, rules: Rules, block: TensorBlock, traits: Tensor, times: Tensor) -> Tensor:
    """Tell which centroids of each row's slot define normal [B, C].

    A centroid is among the heaviest when those heavier hold less than the share; of equal ones the first counts
    as the heavier. The slots are the last axis, along which XLA takes many at once.
    """
    slots, row = (block.present, block.group) if shape.keyed else (tf.range(2), block.slot)
    mass, _, wins, *_ = split(shape, tf.gather(traits, slots))
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
