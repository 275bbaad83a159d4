"""Saying it loudly where most of what is read is rejected, or all passed over: a wrong path or unit does that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from detector.portion import Done
from detector.telemetry.logs import Rarely
from detector.types import Partition, RejectReason

log = structlog.get_logger(__name__)

_RECENT = 10_000.0
"""Rows after which those before count half."""
_LEAST = 100
"""Rows before which it is too early to say anything."""

_TIMES = {RejectReason.NO_TIMESTAMP, RejectReason.TOO_OLD, RejectReason.TOO_FAR_AHEAD}
_FIELDS = {RejectReason.NO_FEATURES, RejectReason.MISSING_FEATURE, RejectReason.NO_ENTITY, RejectReason.NOT_A_NUMBER}


@dataclass(slots=True)
class _Topic:
    said: Rarely
    said_passed_over: Rarely
    taken: float = 0.0
    passed_over: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[Partition, str]] = field(default_factory=dict)

    @property
    def share(self) -> float:
        return self.rejected.total() / max(self.taken + self.rejected.total(), 1.0)


class Rejecting:
    """Watches the share of recent rows, or records, of each topic that were rejected, and whether any were taken."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._topics: dict[str, _Topic] = {}

    def decoded(self, partition: Partition, done: Done) -> None:
        """Take in what became of a portion."""
        if partition.topic not in self._topics:
            self._topics[partition.topic] = _Topic(Rarely(log, self._monotonic), Rarely(log, self._monotonic))
        topic = self._topics[partition.topic]
        topic.taken += done.rows
        topic.passed_over += done.passed_over
        if done.rejected:
            topic.rejected.update(done.rejected)
            topic.examples.update((reason, (partition, detail)) for reason, detail in done.details.items())
        if topic.taken + topic.rejected.total() > _RECENT:
            topic.taken /= 2
            topic.rejected = Counter({reason: (count + 1) // 2 for reason, count in topic.rejected.items()})

    def look(self, least: int = _LEAST) -> None:
        """Say, rarely, of which topics most is rejected, why, and what to look at; not before `least` rows.

        Say it, too, of those of which all was passed over.
        """
        for name, topic in self._topics.items():
            if topic.taken or topic.rejected:
                topic.said_passed_over.over("some_taken", topic=name)
            elif topic.passed_over >= least:
                topic.said_passed_over.say(
                    "all_passed_over",
                    topic=name,
                    passed_over=topic.passed_over,
                    advice="no event meets events.where, or the records are empty: check its paths and values",
                )
            if topic.share <= 0.5:
                topic.said.over("most_taken_again", topic=name)
            elif topic.taken + topic.rejected.total() >= least:
                ((reason, _),) = topic.rejected.most_common(1)
                partition, detail = topic.examples[reason]
                topic.said.say(
                    "most_rejected",
                    topic=name,
                    share=round(topic.share, 3),
                    reason=reason,
                    detail=detail,
                    advice=f"{_advice(reason)}; see `detector state dead-letters {partition}`",
                )


def _advice(reason: str) -> str:
    if reason in _TIMES:
        return "check events.timestamp.path and events.timestamp.unit (and events.limits.too_old, too_far_ahead)"
    if reason in _FIELDS:
        return "check the paths under events: features, entity"
    return "check events.format, events.events and events.limits"
