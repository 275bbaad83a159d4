"""The tail of a distribution: a generalised Pareto distribution of excesses over a value (Coles, 2001, chapter 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detector.types import Float64


@dataclass(frozen=True, slots=True)
class Tail:
    """Excesses over `start`, which a share `rate` of events exceeds, follow GPD(shape, scale)."""

    start: float
    rate: float
    shape: float
    scale: float

    def rates(self, distance: Float64) -> Float64:
        """Return the rate of events beyond each distance [n], all of them past `start`."""
        excess = (distance - self.start) / self.scale
        if abs(self.shape) < 1e-6:
            return self.rate * np.exp(-excess)
        grown = np.maximum(1.0 + self.shape * excess, 0.0)
        rates: Float64 = self.rate * np.where(grown > 0, grown, 0.0) ** (-1.0 / self.shape)
        return rates if self.shape > 0 else np.where(grown > 0, rates, 0.0)

    def value(self, rate: float) -> float:
        """Return the value that a share `rate`, no more than the tail's own, exceeds."""
        ratio = self.rate / rate
        if abs(self.shape) < 1e-6:
            return self.start + self.scale * math.log(ratio)
        return self.start + self.scale * (math.pow(ratio, self.shape) - 1.0) / self.shape
