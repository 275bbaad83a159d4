"""What a group gave a member and took from it, and what the assignment was told of that."""

from __future__ import annotations

from collections.abc import Iterable

from detector.protocols import Assignment
from detector.types import LogFacts, Partition, Position


class Ownership:
    """Partitions on their way in, owned, and on their way out.

    `give` and `take` only note what the group decided and may be called on another thread, while the caller's waits;
    everything else tells the assignment, on the caller's thread.
    """

    def __init__(self) -> None:
        self._told: Assignment | None = None
        self._leaving: list[tuple[Partition, bool]] = []
        self.arriving: set[Partition] = set()
        self.topic_ids: dict[Partition, str] = {}

    def tell(self, assignment: Assignment) -> None:
        """Say whom to tell from now on."""
        self._told = assignment

    @property
    def _assignment(self) -> Assignment:
        assert self._told is not None, "start comes before poll"
        return self._told

    @property
    def empty(self) -> bool:
        """True where the group gave nothing."""
        return not self.topic_ids and not self.arriving

    def give(self, partitions: Iterable[Partition]) -> None:
        """Note partitions to be taken over."""
        self.arriving.update(partitions)

    def take(self, partitions: Iterable[Partition], *, lost: bool) -> None:
        """Note partitions to be given up; `lost` where they are another's already."""
        for partition in partitions:
            self.arriving.discard(partition)
            self._leaving.append((partition, lost))

    def lose_all(self) -> None:
        """Note that everything is another's."""
        self.take(list(self.topic_ids), lost=True)

    def let_go(self) -> None:
        """Tell of what was taken, in the order in which it was."""
        while self._leaving:
            partition, lost = self._leaving.pop(0)
            if lost and self.topic_ids.pop(partition, None) is not None:
                self._assignment.lost(partition)
            else:
                self.revoke(partition)

    def revoke(self, partition: Partition) -> None:
        """Give up one partition in order, if it is owned."""
        if self.topic_ids.pop(partition, None) is not None:
            self._assignment.revoked(partition)

    def revoke_all(self) -> None:
        """Give up everything in order."""
        while self.topic_ids:
            self.revoke(min(self.topic_ids))

    def ask_anew(self, partitions: Iterable[Partition]) -> None:
        """Give up partitions whose log is not what it was, to take them over again."""
        for partition in sorted(set(partitions) & self.topic_ids.keys()):
            self.arriving.add(partition)
            self.revoke(partition)

    def take_over(self, partition: Partition, log: LogFacts) -> Position | None:
        """Tell of one partition that is on its way in; it stays so until `arrived`."""
        position = self._assignment.assigned(partition, log)
        self.topic_ids[partition] = log.topic_id
        return position

    def arrived(self, partition: Partition) -> None:
        """Note that a partition is read from where it has to be."""
        self.arriving.discard(partition)
