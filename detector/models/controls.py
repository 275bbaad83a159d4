"""Control records: how each kind takes effect at the start of its block."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.config.detection import Detection
from detector.features.transforms import Transforms
from detector.models.budget import Running
from detector.models.incident_rules import Rules
from detector.models.incident_state import without_shares
from detector.models.shape import STACK, form, rules_of, shape_of
from detector.models.versions import version_for
from detector.types import ControlKind, ControlRecord, Reason

if TYPE_CHECKING:
    from detector.models.parts import Parts


class Controls:
    """The control records of a partition that are durable and still to take effect, in order."""

    def __init__(self) -> None:
        self._waiting: deque[ControlRecord] = deque()

    @property
    def waiting(self) -> Sequence[ControlRecord]:
        """What is still to take effect."""
        return self._waiting

    def add(self, controls: Iterable[ControlRecord]) -> None:
        """Add more, in order."""
        self._waiting.extend(controls)

    def until_next(self, number: int) -> int:
        """Return how many blocks from `number` on are before the next one, as far as a stack reaches."""
        return self._waiting[0].boundary - number if self._waiting else STACK

    def apply(self, model: Parts) -> bool:
        """Apply those that are due; True where the rows to come have to be decoded anew."""
        before = model.detection
        while self._waiting and not len(model.open) and self._waiting[0].boundary <= model.open.number:
            record = self._waiting.popleft()
            model.applied += 1
            match record.kind:
                case ControlKind.CONFIGURATION:
                    _configure(model, Detection.from_payload(record.payload))
                case ControlKind.PARTITIONS:
                    model.budget.share(record.payload["partitions"])
                case ControlKind.LEARNING:
                    model.learning.say(record.payload["pattern"], record.payload["mode"])
                case ControlKind.FEEDBACK:
                    model.known.say(record.payload)
                case ControlKind.DECISION | ControlKind.ROLLBACK:
                    adopt(model, record.payload)
            model.slots.modes_changed()
            model.upkeep.fall_due(model.open.number, model.open.time)
        return model.detection != before


def _configure(model: Parts, detection: Detection) -> None:
    """Take up another configuration: with the state where the model has the same form, else cold."""
    model.learning.configure(detection.learning)
    if form(detection) == form(model.detection):
        model.detection = detection
        model.transforms = Transforms(detection.events)
        model.program, model.shape = model.programs(detection), shape_of(detection)
        model.bank.shape = model.shape
        model.judging.configure(detection)
        model.budget_by(detection, model.budget.running)
        model.incidents.configure(Rules.of(detection))
        model.absences.configure(detection)
        model.planting.rules, model.planting.alphas = rules_of(detection), model.judging.alphas
        model.slots.limit = detection.entities.limit
    elif detection != model.detection:
        unsaved = model.copying.rest()
        forgotten = [*model.copying.forgotten, *model.slots.resident, *model.slots.evicted]
        model.model_version += 1
        model.incidents.end(list(model.incidents.open), Reason.FORGOTTEN)
        ending, absence = model.incidents.ending, model.absences.over()
        if detection.events != model.detection.events:  # what its shares are of is another thing
            ending = [without_shares(each) for each in ending]
        partitions = model.budget.running.partitions
        model.begin_cold(detection, model.open.number, model.known.said)
        model.budget_by(detection, Running(partitions=partitions))
        model.incidents.ending, model.absences.state = ending, absence
        model.copying.resume(unsaved, forgotten)


def adopt(model: Parts, payload: dict[str, Any]) -> None:
    """Take up the version that a decision or a rollback carries, if it was made for the model there is."""
    version = version_for(model.model_version, payload)
    if version is None:
        return
    slots = model.slots.look_up(version.entities)
    chosen = np.flatnonzero(slots >= 0)
    chosen = chosen[~model.bank.unseeded(slots[chosen])]
    model.copying.before_change(slots[chosen])
    version.put(model.bank, slots[chosen], chosen)
    model.model_version += 1
    model.born = model.time
    model.beside.shadow = None
