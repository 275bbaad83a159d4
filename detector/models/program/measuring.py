"""How far out each feature of a row is, from centroids that it is measured by. The formulas stand in `scoring`."""

from __future__ import annotations

from typing import NamedTuple

from detector.models.program.tensors import FAR, TINY, VAST, Tensor, TensorBlock, split, tf
from detector.models.scale import CLIP, LITTLE, OWN_ROWS
from detector.models.shape import Rules, Shape

FEW = 2
"""Features of which none can outweigh others: their bound is ten of their spreads in all. Within clusters that cut one
feature into many pieces ten spreads are little, and what is far out would be as far as what is nearly usual."""


class Measure(NamedTuple):
    """What the rows of a block [B] are measured with.

    x, judged                      [B, D]  values, and which of them count
    mean, weight, within, inverse  [B, D]  moments of their slots, and 1 / sd (0 where x does not count)
    narrow                         [S C]   how narrow the clusters of the block's slots are, as factors of a distance
    first                          [B]     where there those of the row's slot begin
    """

    rules: Rules
    x: Tensor
    judged: Tensor
    mean: Tensor
    weight: Tensor
    within: Tensor
    inverse: Tensor
    narrow: Tensor
    first: Tensor

    def parts(self, number: Tensor, point: Tensor) -> Tensor:
        """Return the features' parts of the squared distances to the centroids of those numbers, and at those points.

        One of each row ([B], [B, D]), or several ([B, M], [B, M, D]).
        """
        several = len(point.shape) == 3

        def of(each: Tensor) -> Tensor:
            return each[:, None, :] if several else each

        gap = tf.where(of(self.judged), tf.clip_by_value(of(self.x) - point, -FAR, FAR), 0.0)
        bound: Tensor | float = CLIP
        if self.rules.within:
            itself = tf.minimum(gap * gap, VAST) / of(self.weight + 1.0)
            spread = tf.sqrt(of(self.within) + itself) + of(0.01 * tf.abs(self.mean) + 1e-9)
            inside = tf.abs(gap) / spread
            if self.x.shape[-1] <= FEW:
                bound = tf.clip_by_value(CLIP / tf.maximum(spread * of(self.inverse), TINY), CLIP, VAST)
        else:
            inside = tf.abs(gap) * of(self.inverse)
        if self.rules.own:
            first = self.first[:, None] if several else self.first
            inside *= tf.gather(self.narrow, first + number)[..., None]
        core, beyond = tf.minimum(inside, bound), tf.math.log(tf.minimum(tf.maximum(inside, bound), VAST) / bound)
        return core * core + beyond * beyond


def narrowness(shape: Shape, block: TensorBlock, traits: Tensor) -> tuple[Tensor, Tensor]:
    """Return how narrow clusters are beside all of their member's [S C], and where those of each row's slot begin [B].

    Of a whole partition they are the same for all of its rows. They are what `scale.breadths` has, inverted.
    """
    slots, row = (block.present, block.group) if shape.keyed else (tf.range(2), block.slot)
    mass, spread, *_ = split(shape, tf.gather(traits, slots))
    mass, spread = (tf.reshape(each, (-1, shape.members, shape.centroids)) for each in (mass, spread))
    squares = mass * spread
    pooled = tf.reduce_sum(squares, -1, keepdims=True) / tf.maximum(tf.reduce_sum(mass, -1, keepdims=True), TINY)
    ratio = ((OWN_ROWS + mass) * pooled + LITTLE) / (OWN_ROWS * pooled + squares + LITTLE)
    return tf.reshape(tf.sqrt(tf.sqrt(ratio)), [-1]), row * shape.all_centroids
