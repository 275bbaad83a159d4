"""The control records of a partition, as its store has them: which of them are still needed, and for what.

A replay begins at the checkpoint, whose header holds what came of those that had taken effect by then. Of these, the
ones that are still asked for are kept, and the others leave with the checkpoint; or a store would grow for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from detector.models.partition import PartitionModel
from detector.protocols import PartitionStore
from detector.types import ControlKind, ControlRecord

VERSIONS = 10
"""Versions of the model that can be put in force again."""
_KEPT = {
    ControlKind.CONFIGURATION: 1,
    ControlKind.FEEDBACK: 1000,
    ControlKind.CANDIDATE: 10,
    ControlKind.DECISION: 10,
    ControlKind.ROLLBACK: 10,
}
"""Records of each kind that are kept after they have taken effect, the last ones; of other kinds none: the checkpoint
says it all. The last configuration is what a changed one is told from; feedback and refits are history for people."""


class ControlRecords:
    """Those of one partition, in the order in which they were added: in memory as in its store."""

    def __init__(self, store: PartitionStore, records: Iterable[ControlRecord]) -> None:
        self._store = store
        self._records = list(records)

    def __iter__(self) -> Iterator[ControlRecord]:
        return iter(self._records)

    def of(self, *kinds: ControlKind) -> list[ControlRecord]:
        """Return those of some kinds, in order."""
        return [record for record in self._records if record.kind in kinds]

    def add(self, record: ControlRecord) -> None:
        """Append one, durably; StoreFullError where there is no room for it: then nothing has changed."""
        self._store.add_control(record)
        self._records.append(record)

    def drop_spent(self, model: PartitionModel) -> list[int]:
        """Drop those that nobody needs beside a checkpoint of the model as it is; returns their places in the store.

        The model counts how many have taken effect: of those that there are.
        """
        places = spent(self._records[: model.applied], model.known.ids)
        for place in reversed(places):
            del self._records[place]
        model.applied -= len(places)
        return places


def spent(applied: Sequence[ControlRecord], in_force: Collection[str]) -> list[int]:
    """Return the places of records, all of which have taken effect, that nobody needs; `in_force` are feedback's ids.

    Of what is left the same is left again, however often and whenever it is asked in between.
    """
    room, versions, places = dict(_KEPT), VERSIONS, list[int]()
    for place in reversed(range(len(applied))):
        kind, payload = applied[place].kind, applied[place].payload
        room[kind] = room.get(kind, 0) - 1
        to_go_back = "replaced" in payload and versions > 0
        versions -= to_go_back
        is_in_force = kind is ControlKind.FEEDBACK and payload.get("id") in in_force
        if room[kind] < 0 and not to_go_back and not is_in_force:
            places.append(place)
    return places[::-1]
