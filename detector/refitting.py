"""The refit in the daemon: window -> process -> candidate -> control record -> shadow -> decision, per partition.

Called on the main thread between turns; it waits for nothing. What changes detection is in control records: a refit's
start, its process and its shadow are not, so the clock may decide on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from detector import candidates
from detector.config.sections import Refit
from detector.errors import CommandError, StoreFullError
from detector.features.layout import column_names
from detector.models.decision import Decision, Reason
from detector.models.shadow import Shadow
from detector.models.shape import form_digest
from detector.models.versions import Version
from detector.owned import Owned
from detector.protocols import Clock
from detector.refit import configured, wire
from detector.refit.limits import Limits
from detector.refit.process import Ended, Process
from detector.refit.record import Record
from detector.refit.values import Parameters
from detector.types import ControlKind, ControlRecord, Partition

log = structlog.get_logger(__name__)


class Observer(Protocol):
    """Is told what became of refits, for the metrics."""

    def refitted(self, result: str, seconds: float | None = None) -> None:
        """Count a refit that is over, and the seconds that its process took."""

    def compared(self, partition: Partition, agreement: float, overlooked: int) -> None:
        """Say in what share of rows a refit and the model agreed, and how many were found anomalous in hindsight."""

    def decided(self, partition: Partition, decision: Decision) -> None:
        """Say what the shadow of a candidate measured, of it and of the model."""


@dataclass(frozen=True, slots=True)
class Plan:
    """When and how to refit. interval in seconds, None = on demand alone; least rows an entity needs to be refit."""

    parameters: Parameters
    interval: float | None
    least: int
    shadow_blocks: int
    limits: Limits

    @classmethod
    def of(cls, refit: Refit) -> Plan:
        """Take it from the configuration."""
        return cls(
            configured.parameters(refit),
            refit.interval,
            refit.window.least,
            refit.shadow_blocks,
            configured.limits(refit),
        )


STATES = frozenset({"version", "replaced", "form"})
"""What a record about versions holds for the model alone, by name."""


@dataclass(slots=True)
class _Followed:
    """A partition: when its last refit began, and what is asked of the next; the candidate that is in the shadow."""

    begun: float
    asked: bool = False
    candidate: int | None = None
    parameters: Parameters | None = None


@dataclass(slots=True)
class _Job:
    owned: Owned
    asked: candidates.Asked
    parameters: Parameters
    process: Process = field(repr=False)


class Refitting:
    """Refits the models of the partitions that this worker owns, one at a time; `keep` keeps a refit for people."""

    def __init__(
        self,
        plan: Plan,
        owned: Mapping[Partition, Owned],
        clock: Clock,
        observer: Observer,
        keep: Callable[[Partition, Record], None],
    ) -> None:
        self._plan = plan
        self._owned = owned
        self._clock = clock
        self._observer = observer
        self._keep = keep
        self._followed: dict[Owned, _Followed] = {}
        self._job: _Job | None = None

    # --- between turns

    def turn(self) -> None:
        """Begin, follow and end what is due."""
        self._meet()
        try:
            if self._job is not None:
                self._follow(self._job)
            for owned, followed in self._followed.items():
                self._decide(owned, followed)
                if self._job is None and self._due(owned, followed):
                    self._begin(owned, followed)
        except StoreFullError as full:  # the daemon says by itself that it waits for room; then this goes on
            log.warning("refit_waits", detail=str(full))

    def close(self) -> None:
        """End the process under way, if there is one."""
        if self._job is not None:
            self._job.process.close()
            self._job = None

    # --- what an operator asks for

    def request(self, owned: Owned, parameters: Parameters | None = None) -> None:
        """Refit a partition as soon as no other refit is under way; CommandError where it cannot be."""
        self._meet()
        followed = self._followed[owned]
        if owned.model.beside.window is None:
            message = "no window of rows is kept to refit from: set `refit.window.rows` above 0"
            raise CommandError(message)
        if not candidates.ask(owned.model, self._plan.least).windows:
            message = (
                f"{owned.partition}: no entity has {self._plan.least} rows in the window yet (refit.window.least); the "
                "window fills from the rows that come, and anew after a start"
            )
            raise CommandError(message)
        followed.asked, followed.parameters = True, parameters

    def roll_back(self, owned: Owned, number: int, version: Version) -> ControlRecord:
        """Put an earlier version in the place of the model's at the next boundary; any candidate is given up."""
        payload = {
            "made_for": owned.model.model_version,
            "at": self._clock.now(),
            "to": number,
            "version": version.payload(),
            **_replaced(owned, version),
        }
        return owned.control(ControlKind.ROLLBACK, payload)

    def state(self, owned: Owned) -> str:
        """Tell what goes on: idle, asked, running or shadow."""
        self._meet()
        followed = self._followed[owned]
        if self._job is not None and self._job.owned is owned:
            return "running"
        return "shadow" if followed.candidate is not None else "asked" if followed.asked else "idle"

    # --- steps

    def _meet(self) -> None:
        """Take note of partitions that came and went. A candidate without a decision begins its shadow anew."""
        present = set(self._owned.values())
        for owned in [owned for owned in self._followed if owned not in present]:
            del self._followed[owned]
        if self._job is not None and self._job.owned not in present:
            self.close()
        for owned in present - self._followed.keys():
            self._followed[owned] = followed = _Followed(self._clock.monotonic())
            told = records(owned)
            if told and told[-1].kind is ControlKind.CANDIDATE:
                self._begin_shadow(owned, followed, told[-1].payload)

    def _due(self, owned: Owned, followed: _Followed) -> bool:
        if followed.candidate is not None:
            return False
        interval = self._plan.interval
        periodic = interval is not None and self._clock.monotonic() - followed.begun >= interval
        return owned.model.beside.window is not None and (followed.asked or periodic)

    def _begin(self, owned: Owned, followed: _Followed) -> None:
        parameters = followed.parameters or self._plan.parameters
        followed.asked, followed.parameters, followed.begun = False, None, self._clock.monotonic()
        asked = candidates.ask(owned.model, self._plan.least)
        if not asked.windows:
            self._observer.refitted("few_rows")
            log.info("refit_put_off", partition=str(owned.partition), why="the window has too few rows yet")
            return
        task = wire.task(asked.windows, parameters)
        self._job = _Job(owned, asked, parameters, Process(task, self._plan.limits, self._clock.monotonic))
        rows = sum(len(window.rows) for window in asked.windows)
        log.info("refit_begins", partition=str(owned.partition), algorithm=parameters.algorithm, rows=rows)

    def _follow(self, job: _Job) -> None:
        ended = job.process.ended()
        if ended is None:
            return
        self._job = None
        if ended.failure is not None:
            self._observer.refitted(ended.failure.value, ended.seconds)
            log.warning("refit_failed", partition=str(job.owned.partition), result=ended.failure, detail=ended.detail)
        else:
            self._propose(job, ended)

    def _propose(self, job: _Job, ended: Ended) -> None:
        """Make a process's answer the candidate of its partition."""
        owned, model, followed = job.owned, job.owned.model, self._followed[job.owned]
        entities = list(job.asked.samples)
        fitted = dict(zip(entities, ended.candidates, strict=True))
        version = candidates.propose(model, entities, ended.candidates)
        if job.asked.made_for != model.model_version or not len(version):
            self._observer.refitted(f"refused_{Reason.SUPERSEDED.value}", ended.seconds)
            return
        payload: dict[str, Any] = {
            "candidate": 1 + max((record.payload.get("candidate", 0) for record in records(owned)), default=0),
            "made_for": model.model_version,
            "at": self._clock.now(),
            "algorithm": job.parameters.algorithm,
            "seconds": round(ended.seconds, 3),
            "version": version.payload(),
        }
        shadow = self._begin_shadow(owned, followed, payload)
        apart = model.beside.window.apart() if model.beside.window else {}
        payload |= candidates.hindsight(model, shadow, job.asked.samples, fitted, apart)
        owned.control(ControlKind.CANDIDATE, payload)
        features = column_names(model.detection.events)
        self._keep(owned.partition, Record(features, entities, job.parameters, job.asked.windows, ended.candidates))
        self._observer.refitted("proposed", ended.seconds)
        self._observer.compared(owned.partition, payload["agreement"], payload["overlooked"])
        for finding in payload["findings"]:
            log.info("retrospective_finding", partition=str(owned.partition), **finding)
        log.info("candidate", partition=str(owned.partition), **_told(payload))

    def _begin_shadow(self, owned: Owned, followed: _Followed, payload: dict[str, Any]) -> Shadow:
        followed.candidate = payload["candidate"]
        target = owned.model.budget.rate
        version = Version.from_payload(payload["version"])
        return owned.model.beside.begin_shadow(version, target, self._plan.shadow_blocks)

    def _decide(self, owned: Owned, followed: _Followed) -> None:
        """Write the decision on a candidate that has been in the shadow for long enough, or lost its model."""
        model, shadow = owned.model, owned.model.beside.shadow
        if followed.candidate is None or (shadow is not None and not shadow.complete):
            return
        made_for = owned.controls.of(ControlKind.CANDIDATE)[-1].payload["made_for"]
        payload = {"candidate": followed.candidate, "made_for": made_for, "at": self._clock.now()}
        if shadow is None or made_for != model.model_version:
            payload |= {"result": Reason.SUPERSEDED.value, "why": "the model it was made for has been replaced"}
        else:
            apart = model.beside.window.apart() if model.beside.window else {}
            decision = shadow.decide(model.program, apart)
            self._observer.decided(owned.partition, decision)
            payload |= {"result": decision.reason.value, "why": decision.sentence(), **decision.measures()}
            if decision.adopted:
                adopted = shadow.calibrated(decision.slots)
                payload |= {"version": adopted.payload(), **_replaced(owned, adopted)}
        owned.control(ControlKind.DECISION, payload)
        model.beside.shadow = followed.candidate = None
        adopted_or = payload["result"] if "version" in payload else f"refused_{payload['result']}"
        self._observer.refitted(adopted_or)
        log.info("decision", partition=str(owned.partition), **_told(payload))


def records(owned: Owned) -> list[ControlRecord]:
    """Return the control records of a partition that are about versions of its model, in order."""
    return owned.controls.of(ControlKind.CANDIDATE, ControlKind.DECISION, ControlKind.ROLLBACK)


def _replaced(owned: Owned, like: Version) -> dict[str, Any]:
    """Return what a record keeps of the version that it replaces: what the slots of another have now, and its form."""
    model = owned.model
    slots = model.slots.look_up(like.entities)
    known = [i for i, slot in enumerate(slots.tolist()) if slot >= 0]
    now = Version.of(model.bank, slots[known], [like.entities[i] for i in known])
    return {"replaced": now.payload(), "form": form_digest(model.detection)}


def _told(payload: dict[str, Any]) -> dict[str, Any]:
    """Return what of a payload goes to the log."""
    return {name: value for name, value in payload.items() if name not in STATES | {"findings", "at"}}
