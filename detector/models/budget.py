"""The alert budget: from incidents a day to the rate from which on a row is anomalous.

rate = clip(c B r / (P N), 1e-6, 1e-2)  for a budget of B incidents a day over all P partitions, N scored rows a day of
the partition's event time, and r anomalous rows an incident; with B for each entity, B times the number of entities,
and P = 1. N and r are running means that fade by event time. They, c and the rate change at block boundaries only.

c, the trust in the reference, is what closes the loop: each incident that opens lowers it by a fifth or so, and the
time for which one was asked raises it as much again, 1 at most (integral control; Astrom & Murray, 2008, 10.1). A
stream that has shown little of itself (a morning, of a day) is trusted little, and where there are more incidents than
were asked for the less rare ones are left out: whether the reference knows too little of the tail or there are faults,
what pages then is the gravest. It is a tenth at least: where many faults use up a budget, the next must not be hidden.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

from detector.config.alerting import Alerting, supported_by

DAY = 86400.0
LEAST_RATE, MOST_RATE = 1e-6, 1e-2

_HALF_LIFE = 7 * DAY
"""Of what N, r and the observed incidents are means over."""
_LEAST_TRUST = 0.1
"""Of a new partition, too."""
_TRUST_STEP = 0.2
"""What an incident takes from the logarithm of the trust."""
_WHOLE_TRUST = 100.0
"""What more than restores it: over years without a row more are due than an exponential can tell."""
_FAR_OVER = 3.0
"""So many times the budget is far over it ..."""
_ENOUGH = 10.0
"""... once so many incidents were seen."""


class Shortfall(StrEnum):
    """Why a budget cannot be met."""

    TOO_MANY_EVENTS = "too_many_events"
    TOO_FEW_EVENTS = "too_few_events"
    TOO_MANY_INCIDENTS = "too_many_incidents"
    TOO_MANY_ROWS = "too_many_rows"
    REFERENCE_TOO_SMALL = "reference_too_small"


class Running(msgspec.Struct, frozen=True):
    """What a budget goes by, as of the last boundary, and `new_`: since then.

    time       the partition's event time, epoch seconds; None before the first block
    seconds    event time that was seen, faded; `rows`, `exceedances` and `incidents` of it likewise
    judged     rows that could be flagged, and `flagged` those that were, faded likewise
    entities   known now; partitions that share the budget; rate in force
    trust      in the reference: the share of the rate that the budget comes to which is in force
    """

    time: float | None = None
    seconds: float = 0.0
    rows: float = 0.0
    exceedances: float = 0.0
    incidents: float = 0.0
    new_exceedances: int = 0
    new_incidents: int = 0
    entities: int = 0
    partitions: int = 1
    rate: float = MOST_RATE
    trust: float = _LEAST_TRUST
    judged: float = 0.0
    flagged: float = 0.0
    new_judged: int = 0
    new_flagged: int = 0


class Budget:
    """The rate that a partition's rows are judged by: from a budget, or as it is given."""

    def __init__(self, alerting: Alerting, running: Running) -> None:
        self._alerting = alerting
        self.running = running
        if alerting.false_alarm_rate is not None:
            self.running = msgspec.structs.replace(running, rate=alerting.false_alarm_rate)

    @property
    def rate(self) -> float:
        """The share of normal rows that may be flagged."""
        return self.running.rate

    @property
    def threshold(self) -> float:
        """The score from which on rows are anomalous."""
        return -math.log10(self.running.rate)

    @property
    def asked(self) -> float | None:
        """Incidents a day that this partition may have; None where a rate was asked for."""
        budget = self._alerting.budget
        if budget is None:
            return None
        shared = float(self.running.entities) if budget.of == "entity" else 1.0 / self.running.partitions
        return budget.a_day * shared

    @property
    def observed(self) -> float:
        """Incidents a day that this partition had of late."""
        return self.running.incidents * DAY / self.running.seconds if self.running.seconds else 0.0

    @property
    def flagged_share(self) -> float:
        """The share of the rows that could be flagged that were, of late."""
        return self.running.flagged / self.running.judged if self.running.judged else 0.0

    @property
    def shortfall(self) -> Shortfall | None:
        """Why the budget, or the rate that is asked for, cannot be met, where it cannot."""
        running, asked = self.running, self.asked
        if not running.seconds:
            return None
        enough = running.incidents >= _ENOUGH
        if asked is None:
            return Shortfall.TOO_MANY_ROWS if enough and self.flagged_share > _FAR_OVER * running.rate else None
        if enough and self.observed > _FAR_OVER * asked:
            return Shortfall.TOO_MANY_INCIDENTS
        wanted = self._wanted(asked)
        if max(wanted, LEAST_RATE) < supported_by(self._alerting.reference):
            return Shortfall.REFERENCE_TOO_SMALL
        if wanted < LEAST_RATE:
            return Shortfall.TOO_MANY_EVENTS
        return Shortfall.TOO_FEW_EVENTS if wanted > MOST_RATE else None

    def share(self, partitions: int) -> None:
        """Share the budget among so many partitions from now on."""
        self.running = msgspec.structs.replace(self.running, partitions=partitions)

    def saw(
        self, *, exceedances: int = 0, incidents: int = 0, entities: int = 0, judged: int = 0, flagged: int = 0
    ) -> None:
        """Count rows that were flagged by chance, as far as one can tell, incidents that opened, and new entities.

        `judged` rows could be flagged, and `flagged` of them were, whatever the reason.
        """
        before = self.running
        self.running = msgspec.structs.replace(
            before,
            new_exceedances=before.new_exceedances + exceedances,
            new_incidents=before.new_incidents + incidents,
            entities=before.entities + entities,
            new_judged=before.new_judged + judged,
            new_flagged=before.new_flagged + flagged,
        )

    def learn(self, rows: int, time: float, *, supported: float) -> None:
        """Follow a complete block of so many scored rows, at the partition's event time, and set the rate anew.

        `supported` is the least rate that the reference supports. Want of trust does not go below it, or nothing at all
        would alert in the first hours, however far out.
        """
        before = self.running
        passed = 0.0 if before.time is None else max(time - before.time, 0.0)
        kept = 2.0 ** (-passed / _HALF_LIFE)
        self.running = msgspec.structs.replace(
            before,
            time=time,
            seconds=before.seconds * kept + passed,
            rows=before.rows * kept + (rows if before.time is not None else 0),
            exceedances=before.exceedances * kept + before.new_exceedances,
            incidents=before.incidents * kept + before.new_incidents,
            judged=before.judged * kept + before.new_judged,
            flagged=before.flagged * kept + before.new_flagged,
            new_exceedances=0,
            new_incidents=0,
            new_judged=0,
            new_flagged=0,
        )
        asked = self.asked
        if asked is not None:
            trust = self._trusted(before, asked * passed / DAY)
            wanted = self._wanted(asked)
            rate = min(max(trust * wanted, min(wanted, supported), LEAST_RATE), MOST_RATE)
            self.running = msgspec.structs.replace(self.running, trust=trust, rate=rate)

    @staticmethod
    def _trusted(before: Running, due: float) -> float:
        """Return the trust after a block over whose time so many incidents were due."""
        step = _TRUST_STEP * (due - before.new_incidents)
        moved = before.trust * math.exp(min(step, _WHOLE_TRUST))
        return min(max(moved, _LEAST_TRUST), 1.0)

    def _wanted(self, asked: float) -> float:
        """Return the rate that the budget comes to."""
        running = self.running
        if not running.rows or not running.seconds:
            return MOST_RATE
        clustered = (running.exceedances + 1.0) / (running.incidents + 1.0)
        return asked * max(clustered, 1.0) * running.seconds / (running.rows * DAY)
