"""Scoring: how far out each row of a block is, by the states that the blocks before it left.

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
           where the rules say so, s is multiplied by how broad the cluster of c_j is beside the others of its member,
           b = ((300 p + m_j a_j) / ((300 + m_j) p))^(1/4) with its mass m_j and spread a_j, and p the mean of their
           spreads by their masses (`scale.breadths`); and so it is for c_e
           r is bounded in the very scale it is measured in: within a cluster a heavy-tailed feature easily lies a
           hundred of its spreads out, and would outweigh all others together; the logarithm keeps the order beyond
           (with one feature or two there is next to nothing to outweigh, and many centroids make such spreads narrow:
           there the bound is 10 sd, where that is more)

What explains a row is told from the centroid e that most of its features agree with, so that the few that are to blame
do not drag it to one that the others would have to answer for (they did: of faults in 3 of 16 features that the three
largest shares named, there were 91 to 97 %, and are more than 99 %):

    e       = argmin_k sum_d g(((x'_d - c_kd) / sd_d)^2), g(q) = q / (1 + q)   (Geman & McClure, 1985), among those of
              the first member that define normal
    parts_d = min(r_d, 10)^2 + ln^2(max(r_d, 10) / 10)                                   with r and s as for c_e

A row's distance is the mean over the members of its slot. Which centroids define normal is in Rules. The sums go over
the observed features d; a feature of which the slot has learned nothing yet is learned, but counts as missing here. The
difference is taken before anything is squared: the expansion |x|^2 - 2 x.c + |c|^2 cancels in float32.
"""

from __future__ import annotations

import numpy as np

from detector.models.program.measuring import Measure, narrowness
from detector.models.program.normal import normal_centroids
from detector.models.program.tensors import (
    FAR,
    REACH,
    VAST,
    Tensor,
    TensorBlock,
    TensorScores,
    first_least,
    known_mean,
    ones,
    split,
    tf,
)
from detector.models.scale import CLIP
from detector.models.shape import Rules, Shape


class Scoring:
    """Scores blocks of one shape by one set of rules."""

    def __init__(self, shape: Shape, rules: Rules) -> None:
        self.shape = shape
        self.rules = rules

    def __call__(self, block: TensorBlock, centroids: Tensor, traits: Tensor, times: Tensor) -> TensorScores:
        """Distance, nearest centroid, what was expected and the features' parts; then what learning needs of them."""
        shape = self.shape
        mass, _, _, mean, var, weight, within, _ = split(shape, tf.gather(traits, block.slot))
        mean, known = known_mean(mean), weight > 0
        seen = tf.math.is_finite(block.rows)
        judged = tf.logical_and(seen, known)
        x = tf.where(seen, block.rows, 0.0)
        offset = x - mean
        itself = tf.minimum(offset * offset, VAST) / (weight + 1.0)
        sd = tf.sqrt(var + itself) + 0.01 * tf.abs(mean) + 1e-9
        reach = tf.where(known, tf.minimum(CLIP * sd, REACH), REACH)
        beyond = tf.abs(offset) > reach
        clipped = tf.where(beyond, mean + tf.sign(offset) * reach, x)
        at, scale = tf.where(judged, clipped, 0.0), tf.where(judged, 1.0 / sd, 0.0)
        per_slot = tf.reshape(centroids, (-1, shape.all_centroids, shape.features))
        # Of a whole partition all rows are one slot's, which need not be copied for each of them.
        own = tf.gather(per_slot, block.slot) if shape.keyed else per_slot[:1]
        difference = (at[:, None, :] - own) * scale[:, None, :]
        squares = tf.where(mass > 0, tf.minimum(tf.reduce_sum(difference * difference, -1), VAST), FAR)
        nearest = self._nearest(squares)
        if self.rules.mass < 1.0:
            normal = normal_centroids(shape, self.rules, block, traits, times)
            judge = self._nearest(tf.where(normal, squares, FAR))
        else:
            normal, judge = mass > 0, nearest
        z = tf.minimum(tf.minimum(tf.abs(offset), FAR) * scale, VAST)
        outside = tf.math.log(tf.maximum(z, CLIP) / CLIP)
        outside = outside * outside
        standing = tf.gather(centroids, (block.slot * shape.all_centroids)[:, None] + judge)
        measure = Measure(self.rules, x, judged, mean, weight, within, scale, *narrowness(shape, block, traits))
        parts = measure.parts(judge, standing)
        count = tf.reduce_sum(ones(judged), -1)
        each = tf.sqrt(tf.reduce_sum(parts, -1) * (shape.features / tf.maximum(count, 1.0))[:, None])
        distance = tf.where(2.0 * count >= shape.features, tf.reduce_mean(each, -1), np.nan)
        closest = first_least(each)[:, None]
        centroid = tf.gather(judge, closest, batch_dims=1)[:, 0]
        teller = self._teller(difference, normal)
        likely = tf.gather(centroids, block.slot * shape.all_centroids + teller)
        expected = tf.where(known, likely, 0.0)
        told = measure.parts(teller, likely)
        least = tf.reduce_min(tf.reshape(squares, (-1, shape.members, shape.centroids)), -1)
        least = tf.where(least < FAR, least, 0.0)  # of a slot without centroids none is far
        errors = tf.minimum(least + tf.reduce_sum(outside, -1, keepdims=True), VAST)
        nearest_at = tf.gather(centroids, (block.slot * shape.all_centroids)[:, None] + nearest)
        return TensorScores(distance, centroid, expected, told, nearest, errors, nearest_at, clipped, ones(seen), mean)

    def _nearest(self, squares: Tensor) -> Tensor:
        """Return the number of each member's nearest centroid [B, M] among all of the slot's [B, C]."""
        shape = self.shape
        within = first_least(tf.reshape(squares, (-1, shape.members, shape.centroids)))
        return within + tf.range(shape.members, dtype=tf.int32) * shape.centroids

    def _teller(self, difference: Tensor, normal: Tensor) -> Tensor:
        """Return the number of the centroid that most features of each row agree with [B], of its slot's first member.

        None counts for more than 1, however far it is out: the few that are to blame must not drag the row to a
        centroid that the others would have to answer for.
        """
        k = self.shape.centroids
        squares = difference[:, :k] * difference[:, :k]
        apart = tf.reduce_sum(squares / (1.0 + squares), -1)
        return first_least(tf.where(normal[:, :k], apart, FAR))
