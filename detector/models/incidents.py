"""Incidents: one fault of a slot is one incident, which opens, is updated, and resolves. The log alone decides.

A slot's incident is running state: it advances once a row, in log order. It opens when n of the slot's last m rows are
beyond the threshold, and resolves when its rows have been under a second, lower threshold for long enough. What ends an
incident where its entity has no row (it stopped, or was forgotten) is noticed at block boundaries, and told at the
first row of the next block.

Rows that can change nothing but sums, which are nearly all, are taken together; the slots that may open, rise or
resolve are walked row by row. Both add in log order, so that the bits are the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from detector.models import bursts, calm, region
from detector.models.bank import Bank
from detector.models.became import Became, Made
from detector.models.copying import Copying
from detector.models.incident_rules import Rules
from detector.models.incident_state import Ending, Facts, shares_of, transition
from detector.models.progress import Transition
from detector.models.region import Region
from detector.models.seen import Seen
from detector.models.slots import Slots
from detector.types import Bool, Float64, Int64, Phase, Reason

BELOW_OPEN_AFTER = "below_open_after"
WITHIN_INCIDENT = "within_incident"
SUPPRESSED = (BELOW_OPEN_AFTER, WITHIN_INCIDENT)
"""Why an anomalous row gives no message of its own."""

_DENSE = 10.0
"""An incident in which anomalous rows are so many times as frequent as the rate asked for is no chance."""


class Incidents:
    """The incidents of a bank's slots.

    open        slots with an open incident: they must stay in memory
    labels      those of the rows that opened them, by slot, where there are any
    ending      incidents that ended, to be told at the first row of the next block
    suppressed  anomalous rows that gave no message, by reason
    """

    def __init__(self, bank: Bank, slots: Slots, copying: Copying, rules: Rules) -> None:
        self._bank = bank
        self._slots = slots
        self._copying = copying
        self.rules = rules
        self.open: set[int] = set()
        self.labels: dict[int, dict[str, str]] = {}
        self.ending: list[Ending] = []
        self.suppressed: Counter[str] = Counter()
        self._silent_from = math.inf

    # --- rows

    def follow(self, seen: Seen) -> tuple[list[Transition], Bool, Made | None]:
        """Advance the incidents by new rows; returns what happened, which [n] are faulty, what became of each.

        Faulty ones may not count as normal: they come within an incident that is no chance, in a burst of more
        anomalous rows than one event makes, far more frequent than was asked for (until that is a habit: see `habit`).
        It goes by what came before the row, never by the row itself: to leave out whatever alerts would lower the
        threshold, so that more and more alerts.
        """
        slots, judged = seen.slots, seen.judged
        stirring = judged & (seen.flagged | (self._bank.incident_at[slots] > 0))
        faulty = np.zeros(len(slots), np.bool_)
        if not stirring.any():
            return [], faulty, None
        made = Made.nothing(len(slots))
        present = np.unique(slots[stirring])
        rows = np.flatnonzero(judged & np.isin(slots, present))
        group = np.searchsorted(present, slots[rows])
        adding = self._only_add(present, rows, group, seen)
        lasting = rows[adding[group]]
        made.within(lasting, self._bank.incidents_of(slots[lasting]))
        faulty[lasting] = self._add(lasting, seen)
        self.suppressed[WITHIN_INCIDENT] += int(seen.flagged[lasting].sum())
        told: list[Transition] = []
        for g in np.flatnonzero(~adding).tolist():
            told += self._walk(int(present[g]), rows[group == g], seen, faulty, made)
        return sorted(told, key=lambda happened: happened.position), faulty, made

    def _only_add(self, present: Int64, rows: Int64, group: Int64, seen: Seen) -> Bool:
        """Tell which slots [S] have an open incident to which these rows can do nothing but add."""
        state, rules, n = self._bank.incidents_of(present), self.rules, len(present)
        last = np.zeros(n)
        last[group] = seen.partition_times[rows]
        under = seen.rates[rows] > rules.lower * seen.rate
        quiet = np.bincount(group, under, minlength=n)
        most = state["quiet"] + (np.bincount(group, minlength=n) if rules.chance else quiet)
        unresolved = ~rules.is_calm(most, last - state["loud"])
        as_grave = state["critical"] | (np.bincount(group, seen.grave[rows], minlength=n) == 0)
        recent = last - state["told"] < rules.repeat_interval
        adding: Bool = (state["sequence"] > 0) & as_grave & recent & ((quiet == 0) | unresolved)
        return adding

    def _add(self, rows: Int64, seen: Seen) -> Bool:
        """Add rows [n] to the open incidents of their slots, in order; tells which are faulty, by what was before."""
        state, rates = self._bank.incidents.held, seen.rates[rows]
        places = self._bank.incident_at[seen.slots[rows]]
        present = np.unique(places)
        before = state["least"][present]
        flagged, grave, times = seen.flagged[rows], seen.grave[rows], seen.partition_times[rows]
        chance = self.rules.lower * seen.rate
        loud = rates <= chance
        was = bursts.follow(state, places, bursts.Rows(flagged, self.rules.parted & ~loud, self.rules.fault_rows))
        frequent = was.flagged - 1 > _DENSE * seen.rate * was.rows
        faulty: Bool = (was.burst >= self.rules.fault_rows) & frequent
        counted, at_counted = rows[flagged], places[flagged]
        np.add.at(state["rows"], places, 1)
        np.add.at(state["count"], at_counted, 1)
        np.add.at(state["shares"], at_counted, shares_of(seen.parts[counted]))
        region.extend(state["region"], at_counted, seen.values[counted], seen.distances[counted])
        np.minimum.at(state["least"], places, rates)
        lesser = present[state["least"][present] < before]
        state["capped"][lesser] = state["least"][lesser] <= seen.least_rate
        calm.follow(state, calm.Noise(places, times, loud, grave, self.rules.chance * chance))
        return faulty

    def _walk(self, slot: int, rows: Int64, seen: Seen, faulty: Bool, made: Made) -> list[Transition]:
        """Advance one slot's incident row by row, and tell which of its rows are faulty."""
        told = []
        for i in rows.tolist():
            if self._state(slot)["sequence"] > 0:
                faulty[i] = self._add(np.array([i]), seen)[0]
                happened = self._go_on(slot, i, seen)
            else:
                happened = self._begin(slot, i, seen)
            if happened is not None:
                told.append(happened)
                made.told(i, happened)
            elif self._state(slot)["sequence"] > 0:
                made.within(np.array([i]), self._bank.incidents_of(np.array([slot])))
            elif seen.flagged[i]:
                made.became[i] = Became.BELOW_OPEN_AFTER
        return told

    def _begin(self, slot: int, i: int, seen: Seen) -> Transition | None:
        """Take in a row of a slot without an incident."""
        rules, flagged = self.rules, bool(seen.flagged[i])
        history = ((int(self._state(slot)["history"]) << 1) | flagged) & ((1 << rules.m) - 1)
        if not history:
            self._bank.end_incidents(np.array([slot]))
            return None
        place = self._bank.begin_incident(slot)  # which may make room for it, in an array of another length
        state = self._bank.incidents.held[place]
        state["history"] = history
        if not flagged:
            return None
        if history.bit_count() < rules.n:
            self.suppressed[BELOW_OPEN_AFTER] += 1
            return None
        at = seen.place(i)
        state["history"], state["sequence"], state["quiet"], state["stray"] = 0, 0, 0, 0
        state["rows"] = state["count"] = state["burst"] = 1
        state["offset"], state["row"] = at.position
        state["start"], state["loud"] = at.time, at.partition_time
        state["least"], state["capped"] = seen.rates[i], seen.rates[i] <= seen.least_rate
        state["critical"] = seen.grave[i]
        state["shares"] = shares_of(seen.parts[i : i + 1])[0]
        region.begin(state["region"], seen.values[i], float(seen.distances[i]))
        self.open.add(slot)
        if seen.labels is not None:
            self.labels[slot] = seen.labels(*at.position)
        state["interval"] = interval = self._bank.interval[slot]
        self._silent_from = min(self._silent_from, at.partition_time + float(rules.silence_of(interval)))
        return self._tell(slot, i, seen, Phase.OPEN, None)

    def _go_on(self, slot: int, i: int, seen: Seen) -> Transition | None:
        """Tell what a row does that was added to the open incident of its slot."""
        state, rules, time = self._state(slot), self.rules, float(seen.partition_times[i])
        under = seen.rates[i] > rules.lower * seen.rate
        if under and rules.is_calm(state["quiet"], time - state["loud"]):
            return self._tell(slot, i, seen, Phase.RESOLVE, Reason.RECOVERED)
        if not state["critical"] and seen.grave[i]:
            state["critical"] = True
            return self._tell(slot, i, seen, Phase.UPDATE, Reason.SEVERITY)
        if time - float(state["told"]) >= rules.repeat_interval:
            return self._tell(slot, i, seen, Phase.UPDATE, Reason.REPEAT)
        self.suppressed[WITHIN_INCIDENT] += int(seen.flagged[i])
        return None

    def _tell(self, slot: int, i: int, seen: Seen, phase: Phase, reason: Reason | None) -> Transition:
        """Tell of an incident by a row of its own slot."""
        state, at = self._state(slot), seen.place(i)
        state["sequence"] += 1
        state["told"] = at.partition_time
        at = at._replace(anomaly=seen.describe(i))
        told = transition(self._facts(slot), phase, reason, at, self._bank.shape.features)
        if phase is Phase.RESOLVE:
            self._close(slot)
        return told

    # --- at block boundaries

    def configure(self, rules: Rules) -> None:
        """Go on by other rules, at a boundary: who is silent by them is looked for at the next row."""
        self.rules, self._silent_from = rules, -math.inf

    def begin_block(self, seen: Seen) -> list[Transition]:
        """Resolve what has fallen silent, and tell what ended at the boundary, by the first row of a block.

        Its own slot has not met that row yet: if it ends a silence, the silence comes first.
        """
        at = seen.first
        if at.partition_time >= self._silent_from:
            self._end_silent(at.partition_time)
        told = []
        for facts, reason in ((ending.facts, ending.reason) for ending in self.ending):
            last = msgspec.structs.replace(facts, sequence=facts.sequence + 1)
            told.append(transition(last, Phase.RESOLVE, reason, at, self._bank.shape.features))
        self.ending = []
        return told

    def end(self, slots: Iterable[int], reason: Reason) -> None:
        """End the open incidents among those slots at this boundary."""
        ended = [(self._facts(slot), slot) for slot in self.open.intersection(slots)]
        for facts, slot in sorted(ended, key=lambda pair: pair[0].first):
            self.ending.append(Ending(facts, reason))
            self._close(slot)

    def restore(self, entities: Sequence[str], ending: Sequence[Ending], labels: Mapping[str, dict[str, str]]) -> None:
        """Take up the state of a checkpoint: whose incidents are open, which ended at the last boundary, and labels."""
        self.open = set(self._slots.look_up(entities).tolist())
        self.labels = dict(zip(self._slots.look_up(list(labels)).tolist(), labels.values(), strict=True))
        self.ending = list(ending)
        self._silent_from = -math.inf

    def entities(self) -> list[str]:
        """Return whose incidents are open, in order of their names."""
        return sorted(self._slots.names[slot] or "" for slot in self.open)

    def labels_by_entity(self) -> dict[str, dict[str, str]]:
        """Return the labels of open incidents, where there are any, by entity in order of their names."""
        return dict(sorted((self._slots.names[slot] or "", labels) for slot, labels in self.labels.items()))

    def by_severity(self) -> tuple[int, int]:
        """Return how many open incidents are warnings, and how many are critical."""
        critical = int(self._bank.incidents_of(np.array(list(self.open), np.int64))["critical"].sum())
        return len(self.open) - critical, critical

    def region(self, slot: int) -> Region:
        """Return where the open incident of a slot lies."""
        return Region.of(self._state(slot)["region"])

    def _end_silent(self, time: float) -> None:
        slots = np.array(sorted(self.open), np.int64)
        seen = self._bank.last_seen[slots]
        silent = slots[time - seen >= self._silence(slots)]
        self._copying.before_change(silent)
        self.end(silent.tolist(), Reason.NO_DATA)
        left = np.array(sorted(self.open), np.int64)
        self._silent_from = float((self._bank.last_seen[left] + self._silence(left)).min(initial=math.inf))

    def _silence(self, slots: Int64) -> Float64:
        """Return for how long each of those slots [n] may be silent while its incident is open."""
        return self.rules.silence_of(self._bank.incidents_of(slots)["interval"])

    def _facts(self, slot: int) -> Facts:
        labels = self.labels.get(slot, {})
        return Facts.of(self._slots.names[slot] or "", self._state(slot), self.region(slot), labels)

    def _state(self, slot: int) -> np.void:
        """Return what a slot keeps of its incident: to read, and where it keeps anything to write."""
        state: np.void = self._bank.incidents.held[self._bank.incident_at[slot]]
        return state

    def _close(self, slot: int) -> None:
        self._bank.end_incidents(np.array([slot]))
        self.open.discard(slot)
        self.labels.pop(slot, None)
