"""Whether a partition's log is still the one that its checkpoint knows, and where to go on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from detector.errors import LogChangedError
from detector.types import Position

if TYPE_CHECKING:
    from detector.types import Checkpoint, LogFacts, Partition

Policy = Literal["stop", "cold", "resume"]


class Start(StrEnum):
    """How a partition begins."""

    RESUME = "resume"
    """Go on at a position, with the state where there is one."""
    COLD = "cold"
    """Forget the state and begin at the configured start."""
    FRESH = "fresh"
    """There is no state: begin at the configured start."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How to begin.

    position   where to read on; None = the configured start
    new_log    offsets mean other records than before: `alerts_through` must start over
    found      what was found to have changed, for the log; "" where nothing was
    """

    start: Start
    position: Position | None = None
    new_log: bool = False
    found: str = ""


@dataclass(frozen=True, slots=True)
class _Change:
    found: str
    resume_at: int
    new_log: bool


def judge(partition: Partition, checkpoint: Checkpoint | None, log: LogFacts, store_id: str, policy: Policy) -> Verdict:
    """Compare the checkpoint with the log; a pure function.

    Raises LogChangedError under the policy `stop` where the topic was made anew, the log does not hold the
    checkpoint's position any more, or another store's daemon has committed the partition.
    """
    change = _change(checkpoint, log, store_id)
    if change is None:
        return Verdict(Start.RESUME, checkpoint.position) if checkpoint else Verdict(Start.FRESH)
    found = f"{partition}: {change.found}"
    if policy == "cold":
        return Verdict(Start.COLD, None, new_log=True, found=found)
    if policy == "resume":
        return Verdict(Start.RESUME, Position(change.resume_at), new_log=change.new_log, found=found)
    state = "the state" if checkpoint else "no state (this store has none)"
    message = (
        f"{found}. Nothing was changed; choose how to go on: `source.on_log_changed: cold` forgets the partition's "
        f"state and begins at `source.start`; `source.on_log_changed: resume` goes on at offset {change.resume_at} "
        f"with {state}. Or give the daemon the store that belongs to this log (store.path)."
    )
    raise LogChangedError(message)


def _change(checkpoint: Checkpoint | None, log: LogFacts, store_id: str) -> _Change | None:
    if checkpoint and checkpoint.topic_id and log.topic_id and checkpoint.topic_id != log.topic_id:
        found = (
            f"the topic was deleted and made anew: its id is {log.topic_id}, "
            f"the checkpoint at offset {checkpoint.position.offset} is of topic id {checkpoint.topic_id}"
        )
        return _Change(found, log.earliest, new_log=True)
    if log.committed is not None and log.committed_store and log.committed_store != store_id:
        found = f"offset {log.committed} was committed by a daemon with another store (id {log.committed_store})"
        found += f", this store is {store_id}"
        found += f" with a checkpoint at offset {checkpoint.position.offset}" if checkpoint else " with no checkpoint"
        return _Change(found, _within(log, log.committed), new_log=False)
    if checkpoint is None:
        return None
    if checkpoint.position.offset < log.earliest:
        found = (
            f"the log was truncated: its earliest offset is {log.earliest}, "
            f"the checkpoint goes on at offset {checkpoint.position.offset}, which is gone"
        )
        return _Change(found, log.earliest, new_log=False)
    if log.end >= 0 and checkpoint.position > Position(log.end):
        found = (
            f"the log ends at offset {log.end}, before the checkpoint's offset {checkpoint.position.offset}: "
            "it was made anew, or truncated at its end"
        )
        return _Change(found, log.earliest, new_log=True)
    return None


def _within(log: LogFacts, offset: int) -> int:
    """Return the offset, or the nearest one that the log still holds."""
    return max(offset if log.end < 0 else min(offset, log.end), log.earliest)
