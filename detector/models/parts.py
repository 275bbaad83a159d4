"""What the model of a partition is made of, and how it begins."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from detector.config.detection import Detection
from detector.features.layout import column_names, model_features
from detector.features.transforms import Transforms
from detector.models.absence import Absences
from detector.models.absence_state import State
from detector.models.bank import Bank
from detector.models.beside import Beside
from detector.models.blocks import Block
from detector.models.budget import Budget, Running
from detector.models.census import Census, Counted
from detector.models.controls import Controls
from detector.models.copying import Copying
from detector.models.incident_rules import Rules
from detector.models.incidents import Incidents
from detector.models.judging import Judging, smoothing_of
from detector.models.known import Known
from detector.models.learning import Learning
from detector.models.notable import Notable
from detector.models.planting import Planting
from detector.models.program import Program
from detector.models.quarantine import Quarantine
from detector.models.reference import Reference
from detector.models.said import Said
from detector.models.shape import Shape, relates, rules_of, seed_rows, shape_of
from detector.models.slots import Slots
from detector.models.upkeep import Upkeep
from detector.models.window import WindowLimits
from detector.types import Bool, Partition


class Parts:
    """One partition's bank, open block, references, running state, and what works on them.

    `programs` gives the compiled program of a detection configuration; `load` the states of evicted entities.

    model_version  counts the models of this partition from 1: a cold start makes a new one
    controls       control records that are still to take effect, and `applied` how many have
    time           the partition's event time, epoch seconds; -inf before the first row
    born           what it was when this version of the model began
    changes        what upkeep did to its slots so far: `reseeds` and `promotions`
    learning       the learning modes of its entities
    known          what operators said of regions
    notable        events to be kept for those who ask of them, `keep_events` at most
    faulty         bool [n]  rows of the open block that may not count as normal: their slot had an incident
    over           bool [n]  rows of the open block with which an incident of their slot resolved
    """

    detection: Detection
    shape: Shape
    program: Program
    bank: Bank
    slots: Slots
    copying: Copying
    census: Census
    open: Block
    judging: Judging
    known: Known
    notable: Notable
    quarantine: Quarantine
    upkeep: Upkeep
    beside: Beside
    incidents: Incidents
    absences: Absences
    budget: Budget
    faulty: Bool
    over: Bool
    transforms: Transforms
    planting: Planting

    def __init__(  # noqa: PLR0913 - what a model is made of
        self,
        partition: Partition,
        detection: Detection,
        *,
        programs: Callable[[Detection], Program],
        load: Callable[[Sequence[str]], dict[str, bytes]],
        window: WindowLimits | None = None,
        keep_events: int = 0,
    ) -> None:
        self.partition = partition
        self.keep_events = keep_events
        self.programs = programs
        self.load = load
        self.window = window
        self.controls = Controls()
        self.applied = 0
        self.model_version = 1
        self.time = -math.inf
        self.changes = Counter[str]()
        self.learning = Learning(detection.learning, {})
        self.born = -math.inf
        self.begin_cold(detection, 0)

    def begin_cold(self, detection: Detection, number: int, known: Iterable[Said] = ()) -> None:
        """Begin with nothing learned, at block `number`."""
        self.detection = detection
        self.shape = shape_of(detection)
        self.program = self.programs(detection)
        rules, alphas = rules_of(detection), smoothing_of(detection)
        self.transforms = Transforms(detection.events)
        history = self.transforms.width
        seeds, relations = seed_rows(detection), relates(detection)
        self.bank = Bank(self.shape, seeds, smoothing=len(alphas), history=history, relations=relations)
        self.slots = Slots(self.bank, detection.entities.limit, self.load, self.learning.mode_of)
        self.known = Known(self.slots, column_names(detection.events), known)
        self.judging = Judging(self.bank, detection, self.known)
        self.planting = Planting(self.partition, self.bank, self.slots, rules, alphas)
        self.quarantine = Quarantine(self.bank, self.planting, self.known)
        self.upkeep = Upkeep(self.bank, self.planting, self.quarantine, self.judging, self.changes)
        earlier = self.notable.hand_over() if hasattr(self, "notable") else []
        self.notable = Notable(model_features(detection.events), self.shape.features, self.keep_events, earlier)
        self.copying = Copying(self.bank, self.slots)
        self.census = Census(self.bank)
        self.beside = Beside(self.partition, self.bank, self.slots, self.judging, self.window)
        self.born = self.time
        self.incidents = Incidents(self.bank, self.slots, self.copying, Rules.of(detection))
        self.absences = Absences(self.bank, self.slots, detection, State())
        self.faulty = self.over = np.zeros(0, np.bool_)
        self.budget_by(detection, Running())
        self.open = Block.empty(number, self.shape.features, self.time)

    def budget_by(self, detection: Detection, running: Running) -> None:
        """Let the rate from which on rows are flagged follow a configuration, and go on from what is running."""
        self.budget = Budget(detection.alerting, running)
        self.judging.rate = self.budget.rate

    @property
    def reference(self) -> Reference:
        """The recent scores that a rate is judged against."""
        return self.judging.reference

    @property
    def ready(self) -> bool:
        """Whether the reference holds enough for anything to be flagged."""
        return self.reference.total >= self.detection.alerting.warm_up

    def counted(self) -> Counted:
        """Return what the slots in memory add up to: exactly, or of very many as of some seconds ago."""
        return self.census.take(self.detection.model.warm_up)
