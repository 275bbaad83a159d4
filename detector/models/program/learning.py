"""Learning: what a complete block makes of the states of its slots.

With n rows of the slot in the block and the keep factor
g = min(2^(-n / half-life in events), 2^(-dt / half-life in time)),

    mass_k  <- g mass_k + n_k
    c_k     <- c_k + sum of (x' - c_k) over the rows it won / mass_k          (Sculley, WWW 2010, as a mini-batch)
    weight, mean, var, within: exponentially weighted moments with the same g, per feature (Chan, Golub & LeVeque, 1983)
    spread_k <- mean squared distance of the rows it won, weighted by mass
    wins_k   <- wins_k + n_k, and promote_count / promote_returns more where it won none for promote_after / 24 before

A slot without centroids yet has one: its mean, which arises by the same rule from a mass of 0. Moments are taken about
the old mean, and squares about the block's own, so they do not cancel either; for a new feature the bank puts the first
observed value there.
"""

from __future__ import annotations

import numpy as np

from detector.models.program.tensors import TINY, Tensor, TensorBlock, TensorScores, known_mean, split, tf
from detector.models.shape import RETURN, Rules, Shape


class BlockLearning:
    """Learns blocks of one shape by one set of rules."""

    def __init__(self, shape: Shape, rules: Rules) -> None:
        self.shape = shape
        self.rules = rules

    def __call__(
        self, block: TensorBlock, scored: TensorScores, centroids: Tensor, traits: Tensor, times: Tensor
    ) -> Tensor:
        """Return the state after the block; where no row learns, the very same bits."""
        shape = self.shape
        old = tf.gather(traits, block.present)
        mass, spread, wins, old_mean, var, weight, within, gate = split(shape, old)
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
        new_spread = (keep * mass * spread + errors) / tf.maximum(new_mass, TINY)
        new_weight = keep * weight + count
        inverse = 1.0 / tf.maximum(new_weight, TINY)
        before, now = keep * weight * inverse, count * inverse
        new_var = tf.where(count > 0, before * var + about * inverse + before * now * offset * offset, var)
        new_within = tf.where(count > 0, before * within + around * inverse, within)
        mean = tf.where(count > 0, known_mean(old_mean) + now * offset, old_mean)
        returned = self._returned(block.time, won, wins, old_times)
        changed = tf.concat(
            [new_mass, new_spread, wins + won + returned, mean, new_var, new_weight, new_within, gate], 1
        )
        moved = self._move(
            block, scored, observed, learned, old_mass=mass, new_mass=new_mass, new_mean=known_mean(mean)
        )
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

    def _returned(self, now: Tensor, won: Tensor, wins: Tensor, old: Tensor) -> Tensor:
        """Return what it counts for that centroids are back [B, C]: in rows, and 0 of those that were not away."""
        rules, c = self.rules, self.shape.all_centroids
        if rules.promote_returns is None:
            return tf.zeros_like(won)
        away = now - old[:, 1 + c :] >= rules.promote_after * RETURN
        back = tf.logical_and(tf.logical_and(won > 0, wins > 0), away)
        return tf.where(back, np.float32(rules.promote_count / rules.promote_returns), np.float32(0.0))

    def _move(  # noqa: PLR0913 - the inner part of it all, by the names it has there
        self,
        block: TensorBlock,
        scored: TensorScores,
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
        share = (1.0 / tf.maximum(tf.gather(tf.reshape(new_mass, [-1]), at), TINY))[:, :, None]
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

    def _by_group(self, block: TensorBlock, values: Tensor) -> Tensor:
        """Add up the rows' values [B, W] by the slots of the block [B, W]."""
        return tf.tensor_scatter_nd_add(tf.zeros_like(values), block.group[:, None], values)

    def _by_centroid(self, block: TensorBlock, nearest: Tensor, values: Tensor) -> Tensor:
        """Add up the rows' values [B, M] by the slots of the block and their centroids [B, C]."""
        grid = (nearest.shape[0], self.shape.all_centroids)
        place = tf.reshape((block.group * grid[1])[:, None] + nearest, (-1, 1))
        added = tf.tensor_scatter_nd_add(tf.zeros(grid[0] * grid[1]), place, tf.reshape(values, [-1]))
        return tf.reshape(added, grid)
