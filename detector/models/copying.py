"""A consistent copy of the changed slots, taken piece by piece while the pipeline goes on.

The copy is as of the moment it began: before a slot is changed, its old state is copied first. So the pipeline waits
for a piece at most, however many slots a checkpoint has to write.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from detector.models.bank import Bank
from detector.models.slots import Slots
from detector.types import Bool, Int64, SlotState

PIECE = 1024
"""Slots copied at once."""


class Copied(Sequence[SlotState]):
    """Copies of slots, in the order they were taken.

    Kept side by side, and made into objects where they are asked for: Python's cycle collector would walk hundreds of
    thousands of these again and again while they wait for the disk.
    """

    def __init__(self) -> None:
        self.entities: list[str] = []
        self.seen: list[float] = []
        self.states: list[bytes] = []

    def extend(self, entities: list[str], seen: list[float], states: list[bytes]) -> None:
        """Add some."""
        self.entities += entities
        self.seen += seen
        self.states += states

    def __len__(self) -> int:
        return len(self.entities)

    def __iter__(self) -> Iterator[SlotState]:
        return map(SlotState, self.entities, self.seen, self.states)

    @overload
    def __getitem__(self, which: int) -> SlotState: ...
    @overload
    def __getitem__(self, which: slice) -> list[SlotState]: ...
    def __getitem__(self, which: int | slice) -> SlotState | list[SlotState]:
        if isinstance(which, slice):
            return list(map(SlotState, self.entities[which], self.seen[which], self.states[which]))
        return SlotState(self.entities[which], self.seen[which], self.states[which])


class Copying:
    """Which slots changed since the last checkpoint, and the copy under way.

    Slots are `changed` (to be written by the next checkpoint), `waiting` (to be copied by the one under way) or
    `written` by it but not yet known to be durable.
    """

    def __init__(self, bank: Bank, slots: Slots) -> None:
        self._bank = bank
        self._slots = slots
        self._changed = np.zeros(bank.capacity, np.bool_)
        self._waiting = np.zeros(bank.capacity, np.bool_)
        self._in_flight = np.zeros(bank.capacity, np.bool_)
        self._copied = Copied()
        self._next = 0
        self.forgotten: list[str] = []

    def before_change(self, slots: Int64) -> None:
        """Say that these slots [n] are about to change, the bank having room for them."""
        self._fit()
        waiting = slots[self._waiting[slots]]
        if len(waiting):
            self._copy(np.unique(waiting))
        self._changed[slots] = True

    def released(self, slots: Int64) -> None:
        """Say that these slots are no longer anybody's."""
        self._fit()
        self._changed[slots] = False

    def begin(self) -> None:
        """Begin a copy as of now."""
        self._fit()
        self._waiting, self._changed = self._changed, np.zeros(self._bank.capacity, np.bool_)
        self._in_flight = self._waiting.copy()
        self._next = 0

    def take(self) -> Copied | None:
        """Return the next piece of the copy, or None when it is complete."""
        while not self._copied and self._next < len(self._waiting):
            part = self._next + np.flatnonzero(self._waiting[self._next : self._next + PIECE])
            self._next += PIECE
            if len(part):
                self._copy(part)
        piece, self._copied = self._copied, Copied()
        return piece if len(piece) else None

    def rest(self) -> Copied:
        """Return all that is left of the copy under way."""
        pieces = Copied()
        while piece := self.take():
            pieces.extend(piece.entities, piece.seen, piece.states)
        return pieces

    def resume(self, copied: Copied, forgotten: list[str]) -> None:
        """Go on with what another bank's copy had left: the model began cold in the middle of it."""
        self._copied, self.forgotten = copied, forgotten

    def durable(self) -> None:
        """Say that what was copied is durable."""
        self._in_flight[:] = False

    def clean(self, slots: Int64) -> Int64:
        """Return those of some slots whose newest state is durable."""
        self._fit()
        clean: Int64 = slots[~(self._changed[slots] | self._waiting[slots] | self._in_flight[slots])]
        return clean

    def _copy(self, slots: Int64) -> None:
        self._waiting[slots] = False
        names = self._slots.names
        entities = [entity for slot in slots.tolist() if (entity := names[slot]) is not None]
        assert len(entities) == len(slots), "a slot was freed before it was copied"
        self._copied.extend(entities, self._bank.last_seen[slots].tolist(), self._bank.pack(slots))

    def _fit(self) -> None:
        if len(self._changed) < self._bank.capacity:
            self._changed = _grown(self._changed, self._bank.capacity)
            self._waiting = _grown(self._waiting, self._bank.capacity)
            self._in_flight = _grown(self._in_flight, self._bank.capacity)


def _grown(flags: Bool, capacity: int) -> Bool:
    grown = np.zeros(capacity, np.bool_)
    grown[: len(flags)] = flags
    return grown
