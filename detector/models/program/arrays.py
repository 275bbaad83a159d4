"""What the program takes and gives, as NumPy arrays."""

from __future__ import annotations

from typing import NamedTuple

from detector.models.shape import Frame
from detector.types import Bool, Float32, Float64, Int32


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
