"""Until when evicted entities are waited for: a heap, so that asking who is late costs nothing for all others."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable


class Deadlines:
    """Deadlines of entities, event times. `passed` is that up to which they were taken: earlier ones are not kept."""

    def __init__(self) -> None:
        self.passed = -math.inf
        self._of: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        """Entities that are waited for."""
        return len(self._of)

    @property
    def soonest(self) -> float:
        """The next deadline; infinite where there is none."""
        self._tidy()
        return self._heap[0][0] if self._heap else math.inf

    def know(self, deadlines: Iterable[tuple[str, float]], passed: float) -> None:
        """Begin with those of entities in the store, of which some have passed."""
        self.passed = passed
        self._of = {entity: at for entity, at in deadlines if passed < at < math.inf}
        self._heap = [(at, entity) for entity, at in self._of.items()]
        heapq.heapify(self._heap)

    def add(self, entity: str, deadline: float) -> None:
        """Wait for an entity until then: not at all where that has passed, or never comes."""
        if self.passed < deadline < math.inf:
            self._of[entity] = deadline
            heapq.heappush(self._heap, (deadline, entity))

    def drop(self, entity: str) -> None:
        """Wait for an entity no longer, if it was waited for."""
        self._of.pop(entity, None)

    def take(self, now: float) -> list[str]:
        """Return those whose deadline has passed by now, and wait for them no longer."""
        self.passed, late = now, []
        while self.soonest <= now:
            _, entity = heapq.heappop(self._heap)
            del self._of[entity]
            late.append(entity)
        return late

    def _tidy(self) -> None:
        """Leave out at the front what is out of date."""
        heap, of = self._heap, self._of
        while heap and of.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
