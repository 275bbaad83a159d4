"""Which slot an entity has: the directory of a partition.

Known entities are resident (their state is in the bank) or evicted (it is in the store alone). Eviction changes no
score, so memory and the clock may decide on it; forgetting does, so the partition's event time decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

import numpy as np

from detector.models.bank import Bank
from detector.models.deadlines import Deadlines
from detector.types import Int64

WHOLE = ""
"""The one entity of a partition without an entity field."""

NOWHERE = -1
"""The slot number of a row for whose entity there was no room."""


class Slots:
    """The entities of one partition and their slots in `bank`.

    evicted  when each evicted entity was last seen, and `awaited` until when they are waited for

    `load` reads the states of evicted entities from the store; it is called with those that have returned. `mode_of`
    tells an entity's learning mode.
    """

    def __init__(
        self,
        bank: Bank,
        limit: int,
        load: Callable[[Sequence[str]], dict[str, bytes]],
        mode_of: Callable[[str], int] = lambda _: 0,
    ) -> None:
        self._bank = bank
        self.limit = limit
        self._load = load
        self._mode_of = mode_of
        self.resident: dict[str, int] = {}
        self.evicted: dict[str, float] = {}
        self._gone_since = math.inf  # no evicted entity was last seen before: a look at a million of them takes long
        self.awaited = Deadlines()
        self.names: list[str | None] = []
        self._free: list[int] = []
        self._placed = 0

    def __len__(self) -> int:
        """Entities known, resident or not."""
        return len(self.resident) + len(self.evicted)

    def __contains__(self, entity: str) -> bool:
        """Tell whether an entity is known, resident or not."""
        return entity in self.resident or entity in self.evicted

    def know(self, entities: Iterable[tuple[str, float]]) -> None:
        """Take over (entity, last seen) from the store: all evicted until they return."""
        self.evicted.update(entities)
        self._gone_since = min(self.evicted.values(), default=math.inf)

    def find(self, entities: Sequence[str]) -> Int64:
        """Return the slot of each row's entity, -1 where there is no room for a new one."""
        found = self._resident(entities)
        unknown = np.flatnonzero(found == NOWHERE)
        if len(unknown):
            self._admit(dict.fromkeys(entities[row] for row in unknown.tolist()))
            found = self._resident(entities)
        return found

    def look_up(self, entities: Sequence[str]) -> Int64:
        """Return the slot of each entity as it was found before: unknown ones, for lack of room, stay without."""
        self._admit({entity: None for entity in entities if entity in self.evicted})
        return self._resident(entities)

    def evict(self, before: float, keep: Int64, *, clean: Callable[[Int64], Int64]) -> int:
        """Drop from memory what was last seen before then, except `keep`; returns how many.

        `clean` picks those of some slots whose state in the store is their newest.
        """
        idle = clean(np.setdiff1d(self.stale(before), keep))
        for slot in idle.tolist():
            seen, deadline = float(self._bank.last_seen[slot]), float(self._bank.awaited[slot])
            entity = self._drop(slot)
            self.evicted[entity] = seen
            self._gone_since = min(self._gone_since, seen)
            self.awaited.add(entity, deadline)
        return len(idle)

    def resident_slots(self) -> Int64:
        """Return the slots in memory."""
        return np.flatnonzero(self._bank.occupied)

    def stale(self, before: float) -> Int64:
        """Return the resident slots last seen before then."""
        return np.flatnonzero(self._bank.last_seen < before)

    def forget(self, before: float) -> list[str]:
        """Delete what was last seen before then; returns the entities."""
        forgotten = [self._drop(slot) for slot in self.stale(before).tolist()]
        if self._gone_since < before:
            gone = [entity for entity, seen in self.evicted.items() if seen < before]
            for entity in gone:
                del self.evicted[entity]
                self.awaited.drop(entity)
            self._gone_since = min(self.evicted.values(), default=math.inf)
            forgotten += gone
        return forgotten

    def _resident(self, entities: Sequence[str]) -> Int64:
        """Return the slot of each entity, -1 where it is not in memory; one pass, as a million are in no cache."""
        return np.fromiter(map(self.resident.get, entities, repeat(NOWHERE)), np.int64, len(entities))

    def _admit(self, entities: dict[str, None]) -> None:
        returning = [entity for entity in entities if entity in self.evicted]
        if returning:
            states = self._load(returning)
            slots = [self._place(entity) for entity in returning]
            self._bank.unpack(slots, [states[entity] for entity in returning])
            for entity in returning:
                del self.evicted[entity]
                self.awaited.drop(entity)
        room = max(0, self.limit - len(self))
        fresh = [entity for entity in entities if entity not in self.resident][:room]
        if fresh:
            self._bank.clear(np.array([self._place(entity) for entity in fresh], np.int64))

    def _place(self, entity: str) -> int:
        if self._free:
            slot = self._free.pop()
            self.names[slot] = entity
        else:
            slot = len(self.names)
            self.names.append(entity)
            self._bank.reserve(slot)
        self.resident[entity] = slot
        self._bank.occupied[slot] = True
        self._bank.modes[slot] = self._mode_of(entity)
        self._placed += 1
        self._bank.tenants[slot] = self._placed
        return slot

    def modes_changed(self) -> None:
        """Ask anew for the learning modes of the entities in memory."""
        for entity, slot in self.resident.items():
            self._bank.modes[slot] = self._mode_of(entity)

    def _drop(self, slot: int) -> str:
        entity = self.names[slot]
        assert entity is not None, f"slot {slot} is free"
        del self.resident[entity]
        self.names[slot] = None
        self._bank.occupied[slot] = False
        self._free.append(slot)
        self._bank.vacate(np.array([slot]))
        return entity
