"""The one thread that writes checkpoints and alerts, so that the main thread never waits for a disk.

Alerts go ahead of everything that is queued. So a checkpoint never becomes durable before the alerts that were handed
over before it, and an alert waits for one piece of a chunk at most. A command leaves the queue once it is durable:
where the disk is full the same command is tried again, and nothing is lost or reordered.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from detector.errors import StoreFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from detector.protocols import PartitionStore
    from detector.types import Checkpoint, DeadLetter, KeptEvents, OutboxEntry, Partition, Position, SlotState

_PIECE_ROWS = (250, 5000)


class Finished(NamedTuple):
    """A checkpoint that is durable: its bytes with its slots, and the seconds since it was started."""

    partition: Partition
    checkpoint: Checkpoint
    bytes: int
    seconds: float


@dataclass(slots=True, eq=False)
class _Alerts:
    store: PartitionStore
    size: int
    entries: Sequence[OutboxEntry]
    through: Position
    block: int
    events: Sequence[KeptEvents]


@dataclass(slots=True, eq=False)
class _Slots:
    store: PartitionStore
    size: int
    chunk: Sequence[SlotState]
    done: int = 0


@dataclass(slots=True, eq=False)
class _Checkpoint:
    store: PartitionStore
    size: int
    checkpoint: Checkpoint
    forgotten: Sequence[str]
    rejects: Sequence[DeadLetter]
    entries: Sequence[OutboxEntry]
    events: Sequence[KeptEvents]
    spent: Sequence[int]
    started: float


_Command = _Alerts | _Slots | _Checkpoint


class Writer:
    """Hands commands to the writing thread. Every method is called on the main thread, and none waits for a disk
    but `drain`, `forget` and `close`.

    `on_alerts(partition)` is called on the writing thread when outbox entries have become durable. `max_alert_delay`
    is how long, in seconds, alerts should have to wait: it bounds the transactions of slots. `retry` is the
    time in seconds between attempts while there is no room. What the thread dies of, anything but StoreFullError, is
    raised by every later call (by `close` only if no other did).
    """  # noqa: D205 - one sentence

    def __init__(
        self,
        on_alerts: Callable[[Partition], None],
        *,
        max_alert_delay: float = 0.02,
        retry: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_alerts = on_alerts
        # Half of it: an alert may come at the beginning of a piece, and then has a transaction of its own to wait for.
        self._piece_seconds = max_alert_delay / 2
        self._retry = retry
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._alerts: deque[_Alerts] = deque()
        self._others: deque[_Slots | _Checkpoint] = deque()
        self._current: _Command | None = None
        self._pending = 0
        self._written: dict[Partition, int] = {}
        self._finished: list[Finished] = []
        self._blocked: str | None = None
        self._failure: BaseException | None = None
        self._failure_told = False
        self._closing = False
        self._piece = _PIECE_ROWS[0]
        self._thread = threading.Thread(target=self._run, name="checkpoint-writer", daemon=True)
        self._thread.start()

    def alerts(
        self,
        store: PartitionStore,
        entries: Sequence[OutboxEntry],
        through: Position,
        block: int,
        events: Sequence[KeptEvents] = (),
    ) -> None:
        """Commit alerts, ahead of everything else that is queued."""
        size = sum(len(entry.body) for entry in entries) + sum(len(each.body) for each in events)
        self._put(_Alerts(store, size, entries, through, block, events))

    def slots(self, store: PartitionStore, chunk: Sequence[SlotState]) -> None:
        """Stage slots for the next checkpoint of this store."""
        self._put(_Slots(store, sum(len(slot.entity) + len(slot.state) for slot in chunk), chunk))

    def checkpoint(  # noqa: PLR0913, PLR0917 - what a checkpoint consists of
        self,
        store: PartitionStore,
        checkpoint: Checkpoint,
        forgotten: Sequence[str],
        rejects: Sequence[DeadLetter],
        entries: Sequence[OutboxEntry],
        started: float,
        events: Sequence[KeptEvents] = (),
        spent: Sequence[int] = (),
    ) -> None:
        """Commit a checkpoint behind the slots and alerts handed over before; `started` is monotonic seconds."""
        size = (
            len(checkpoint.header)
            + sum(len(reject.value or b"") + len(reject.key or b"") for reject in rejects)
            + sum(len(entry.body) for entry in entries)
            + sum(len(each.body) for each in events)
        )
        self._put(_Checkpoint(store, size, checkpoint, forgotten, rejects, entries, events, spent, started))

    def finished(self) -> list[Finished]:
        """Return the checkpoints that became durable since the last call, in order."""
        with self._changed:
            self._raise_failure()
            finished, self._finished = self._finished, []
            return finished

    @property
    def pending_bytes(self) -> int:
        """Bytes of states, headers and bodies that are handed over and not durable yet."""
        with self._changed:
            return self._pending

    @property
    def blocked(self) -> str | None:
        """Why nothing can be written for now, None when it can."""
        with self._changed:
            return self._blocked

    def drain(self, store: PartitionStore, timeout: float) -> bool:
        """Wait until everything of `store` is durable; False where that takes longer than `timeout` seconds."""
        with self._changed:
            return self._wait(lambda: not any(command.store is store for command in self._queued()), timeout)

    def forget(self, store: PartitionStore) -> None:
        """Drop what is queued for a store that was lost, and wait for the transaction that may be under way."""
        with self._changed:
            for command in self._queued():
                if command.store is store:
                    self._remove(command)
            self._written.pop(store.partition, None)
            self._changed.notify_all()
            self._wait(lambda: self._current is None or self._current.store is not store, None)
            self._written.pop(store.partition, None)
            self._finished = [done for done in self._finished if done.partition != store.partition]

    def close(self) -> None:
        """End the thread after the transaction under way; what is still queued is dropped (drain first)."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        if not self._failure_told:
            self._raise_failure()

    def _put(self, command: _Command) -> None:
        with self._changed:
            self._raise_failure()
            if isinstance(command, _Alerts):
                self._alerts.append(command)
            else:
                self._others.append(command)
            self._pending += command.size
            self._changed.notify_all()

    def _queued(self) -> list[_Command]:
        return [*self._alerts, *self._others]

    def _remove(self, command: _Command) -> bool:
        """Take a command out of its queue; False where `forget` has done so already."""
        queue: deque[_Alerts] | deque[_Slots | _Checkpoint] = (
            self._alerts if isinstance(command, _Alerts) else self._others
        )
        if command not in queue:
            return False
        queue.remove(command)  # type: ignore[arg-type]  # the queue of its kind
        self._pending -= command.size
        return True

    def _wait(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        reached = self._changed.wait_for(lambda: self._failure is not None or condition(), timeout)
        self._raise_failure()
        return reached

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self._failure_told = True
            raise self._failure

    # --- the writing thread

    def _run(self) -> None:
        try:
            while (command := self._next()) is not None:
                self._attempt(command)
        except BaseException as failure:  # noqa: BLE001 - raised again on the main thread
            with self._changed:
                self._failure = failure
                self._current = None
                self._changed.notify_all()

    def _next(self) -> _Command | None:
        with self._changed:
            self._current = None
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closing or self._alerts or self._others)
            if self._closing:
                return None
            self._current = self._alerts[0] if self._alerts else self._others[0]
            return self._current

    def _attempt(self, command: _Command) -> None:
        try:
            entries = self._write(command)
        except StoreFullError as full:
            with self._changed:
                self._blocked = str(full)
                self._changed.wait_for(lambda: self._closing or command not in self._queued(), self._retry)
            return
        with self._changed:
            self._blocked = None
        if entries:
            self._on_alerts(command.store.partition)

    def _write(self, command: _Command) -> Sequence[OutboxEntry]:
        """Make a command, or a piece of it, durable; returns the outbox entries that it brought."""
        if isinstance(command, _Slots):
            self._write_piece(command)
            return ()
        if isinstance(command, _Alerts):
            command.store.commit_alerts(command.entries, command.through, command.block, command.events)
            self._complete(command, None)
        else:
            written = command.store.commit_checkpoint(
                command.checkpoint,
                command.forgotten,
                command.rejects,
                command.entries,
                command.events,
                command.spent,
            )
            self._complete(command, written)
        return command.entries

    def _write_piece(self, command: _Slots) -> None:
        started = self._monotonic()
        piece = command.chunk[command.done : command.done + self._piece]
        written = command.store.write_slots(piece)
        elapsed = max(self._monotonic() - started, 1e-4)
        least, most = _PIECE_ROWS
        self._piece = min(max(int(len(piece) * min(self._piece_seconds / elapsed, 2.0)), least), most)
        command.done += len(piece)
        with self._changed:
            partition = command.store.partition
            if command in self._others:
                self._written[partition] = self._written.get(partition, 0) + written
                if command.done >= len(command.chunk):
                    self._remove(command)

    def _complete(self, command: _Alerts | _Checkpoint, written: int | None) -> None:
        with self._changed:
            if self._remove(command) and isinstance(command, _Checkpoint):
                partition = command.store.partition
                total = self._written.pop(partition, 0) + (written or 0)
                seconds = self._monotonic() - command.started
                self._finished.append(Finished(partition, command.checkpoint, total, seconds))
