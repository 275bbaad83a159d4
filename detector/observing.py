"""What happened, as metrics: the pipeline and the delivery say it here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import structlog

from detector.models.budget import Shortfall
from detector.models.decision import Decision
from detector.models.learning import MODES
from detector.models.progress import Progress
from detector.owned import Owned
from detector.portion import Done
from detector.rejecting import Rejecting
from detector.store.writer import Finished
from detector.telemetry.logs import Rarely
from detector.telemetry.metrics import Metrics
from detector.types import Batch, OutboxEntry, Partition, Phase, Rows, Severity

log = structlog.get_logger(__name__)

_ADVICE = {
    Shortfall.TOO_MANY_EVENTS: "no reference can tell so few of so many events: raise alerting.budget, or let "
    "incidents open later (incidents.open_after)",
    Shortfall.TOO_MANY_INCIDENTS: "far more incidents open than were asked for: something is wrong with what is "
    "watched, or it changes faster than it is learned",
    Shortfall.TOO_MANY_ROWS: "far more rows are flagged than alerting.false_alarm_rate asks for: something is wrong "
    "with what is watched, or it changes faster than it is learned",
    Shortfall.REFERENCE_TOO_SMALL: "so few of so many events cannot be told by so few scores: raise "
    "alerting.reference, or alerting.budget",
}
"""What to do; that there are too few events for so many incidents is no trouble."""


class Observing:
    """Turns what the pipeline and the delivery did into metrics."""

    def __init__(
        self,
        metrics: Metrics,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._now = now
        self._changes: dict[Partition, Counter[str]] = {}
        self._rejecting = Rejecting(monotonic)
        self._unmet = {shortfall: Rarely(log, monotonic) for shortfall in Shortfall}

    # --- the pipeline's

    def decoded(self, owned: Owned, done: Done, seconds: float) -> None:
        """Count a portion that was decoded, scored and learned."""
        metrics = self._metrics
        metrics.events_consumed.inc(done.rows)
        if done.passed_over:
            metrics.events_passed_over.inc(done.passed_over)
        for reason, count in done.rejected.items():
            metrics.events_rejected.labels(reason).inc(count)
        if done.dead_letters:
            metrics.dead_letters.inc(done.dead_letters)
        self._rejecting.decoded(owned.partition, done)
        metrics.observe_batch_size(done.rows)
        metrics.scoring_duration_seconds.observe(seconds)
        changes, told = owned.model.changes, self._changes.get(owned.partition)
        if changes != told:
            told = told or Counter()
            metrics.centroid_reseeds.inc(changes["reseeds"] - told["reseeds"])
            metrics.promotions.inc(changes["promotions"] - told["promotions"])
            self._changes[owned.partition] = changes.copy()

    def advanced(self, owned: Owned, rows: Rows, progress: Progress) -> None:
        """Count what the model made of some rows."""
        del owned, rows
        metrics = self._metrics
        metrics.observe_scores(progress.score)
        if progress.late:
            metrics.events_late.inc(progress.late)
        if progress.overflowed:
            metrics.transforms_overflowed.inc(progress.overflowed)
        for reason, count in progress.unscored.items():
            metrics.events_unscored.labels(reason).inc(count)
        if len(progress.flagged):
            metrics.anomalies.labels("critical").inc(progress.critical)
            metrics.anomalies.labels("warning").inc(len(progress.flagged) - progress.critical)
        for reason, count in progress.suppressed.items():
            metrics.alerts_suppressed.labels(reason).inc(count)
        for transition in progress.transitions:
            if transition.phase is Phase.OPEN:
                metrics.incidents.labels(transition.severity).inc()
            elif transition.phase is Phase.RESOLVE and transition.reason is not None:
                metrics.incidents_resolved.labels(transition.reason).inc()

    def ended(self) -> None:
        """Say what there is to say at the end, however little was read."""
        self._rejecting.look(least=1)

    def alerted(self, entries: Sequence[OutboxEntry]) -> None:
        """Count alerts, each once however many sinks it goes to."""
        self._metrics.alerts.labels("raised").inc(len({entry.id for entry in entries}))

    def read(self, owned: Owned, batch: Batch) -> None:
        """Say how far a partition is."""
        if batch.end_offset >= 0 and batch.records:
            behind = self._now() - batch.records[-1].timestamp / 1000.0
            self._metrics.set_lag(owned.partition, batch.end_offset - batch.next_offset, behind)
        if np.isfinite(owned.model.time):
            self._metrics.set_event_time(owned.partition, owned.model.time)

    def saved(self, owned: Owned, finished: Finished, evicted: int) -> None:
        """Count a checkpoint, and the slots that left memory after it."""
        del owned
        metrics = self._metrics
        metrics.checkpoint_duration_seconds.observe(finished.seconds)
        metrics.checkpoint_bytes.set(finished.bytes)
        metrics.checkpoint_last_success_timestamp_seconds.set(self._now())
        metrics.entities_evicted.inc(evicted)

    def models(self, owned: Sequence[Owned]) -> None:
        """Say what the models hold, over all partitions."""
        metrics = self._metrics
        counted = [each.model.counted() for each in owned]
        metrics.centroids_active.set(sum(each.centroids for each in counted))
        metrics.entities_active.set(sum(len(each.model.slots.resident) for each in owned))
        by_severity = [each.model.incidents.by_severity() for each in owned]
        for place, severity in enumerate((Severity.WARNING, Severity.CRITICAL)):
            metrics.incidents_open.labels(severity).set(sum(each[place] for each in by_severity))
        self._tell_budget(owned)
        self._rejecting.look()
        metrics.entities_warming_up.set(sum(each.warming_up for each in counted))
        metrics.entities_absent.set(sum(each.model.absences.absent for each in owned))
        metrics.rows_quarantined.set(sum(each.model.quarantine.rows for each in owned))
        modes = sum((Counter(each.learning) for each in counted), Counter[str]())
        for mode in MODES:
            metrics.entities_learning.labels(mode).set(modes[mode])
        metrics.candidates_in_shadow.set(sum(each.model.beside.shadow is not None for each in owned))
        for each in owned:
            version, partition = each.model.model_version, each.partition
            metrics.model_version.labels(partition.topic, str(partition.number)).set(version)
        metrics.set_model_version(max((each.model.model_version for each in owned), default=0))
        ages = [each.model.time - each.model.born for each in owned if np.isfinite(each.model.born)]
        metrics.model_age_seconds.set(max(ages, default=0.0))

    def _tell_budget(self, owned: Sequence[Owned]) -> None:
        """Say what was asked for and what there is, and, rarely, where both cannot agree."""
        metrics, budgets = self._metrics, [each.model.budget for each in owned]
        metrics.alert_budget_incidents_per_day.set(sum(budget.asked or 0.0 for budget in budgets))
        metrics.alert_observed_incidents_per_day.set(sum(budget.observed for budget in budgets))
        judged = sum(budget.running.judged for budget in budgets)
        may = sum(budget.rate * budget.running.judged for budget in budgets)
        were = sum(budget.running.flagged for budget in budgets)
        metrics.flagged_target_ratio.set(may / judged if judged else max((each.rate for each in budgets), default=0.0))
        metrics.flagged_observed_ratio.set(were / judged if judged else 0.0)
        unmet = Counter(budget.shortfall for budget in budgets)
        for shortfall, said in self._unmet.items():
            metrics.alert_budget_unmet.labels(shortfall).set(unmet[shortfall])
            if unmet[shortfall] and shortfall in _ADVICE:
                advice = _ADVICE[shortfall]
                said.say("alert_budget_unmet", why=shortfall.value, partitions=unmet[shortfall], advice=advice)
            else:
                said.over("alert_budget_met", why=shortfall.value)

    def judged(self, verdict: str) -> None:
        """Count what an operator said of an incident."""
        self._metrics.feedback.labels(verdict).inc()

    def rebalanced(self) -> None:
        """Count partitions that came or went."""
        self._metrics.rebalances.inc()

    def left(self, partition: Partition) -> None:
        """Forget a partition that is no longer this worker's."""
        self._metrics.forget_partition(partition)
        self._changes.pop(partition, None)

    def refitted(self, result: str, seconds: float | None = None) -> None:
        """Count what became of a refit or of its candidate, and the time of its process."""
        self._metrics.refits.labels(result).inc()
        if seconds is not None:
            self._metrics.refit_duration_seconds.observe(seconds)

    def compared(self, partition: Partition, agreement: float, overlooked: int) -> None:
        """Say in what share of rows a refit and the model agreed, and how many were found anomalous in hindsight."""
        labels = partition.topic, str(partition.number)
        self._metrics.refit_agreement.labels(*labels).set(agreement)
        self._metrics.refit_findings.labels(*labels).set(overlooked)

    def decided(self, partition: Partition, decision: Decision) -> None:
        """Say what the shadow of a candidate measured."""
        rows, metrics = max(decision.rows + decision.flagged_before, 1), self._metrics
        for whose, error, flagged, apart in (
            ("candidate", decision.error, decision.flagged, decision.still_flagged),
            ("model", decision.error_before, decision.flagged_before, decision.apart),
        ):
            labels = (partition.topic, str(partition.number), whose)
            metrics.shadow_error.labels(*labels).set(error)
            metrics.shadow_flagged_ratio.labels(*labels).set(flagged / rows)
            metrics.shadow_kept_apart_rows.labels(*labels).set(apart)

    def reloaded(self, *, successful: bool) -> None:
        """Say what came of reading the configuration, at the start or since."""
        self._metrics.config_last_reload_successful.set(successful)
        if successful:
            self._metrics.config_last_reload_success_timestamp_seconds.set(self._now())

    # --- notification's, on its threads

    def notified(self, sink: str, kind: str, count: int = 1) -> None:
        """Count messages that were written for a sink."""
        self._metrics.notifications.labels(sink, kind).inc(count)

    def suppressed(self, reason: str, count: int = 1) -> None:
        """Count alerts that made no message."""
        self._metrics.alerts_suppressed.labels(reason).inc(count)

    def silences(self, active: int) -> None:
        """Say how many silences hold."""
        self._metrics.silences_active.set(active)

    # --- the delivery's, on its threads

    def delivered(self, sink: str, code: str, seconds: float) -> None:
        """Count an attempt that is over."""
        self._metrics.deliveries.labels(sink, code).inc()
        self._metrics.delivery_duration_seconds.labels(sink).observe(seconds)

    def refused(self, sink: str, code: str) -> None:  # noqa: ARG002 - the attempt is counted with its code already
        """Count an alert that will not be sent any more."""
        self._metrics.alerts.labels("refused").inc()

    def crashed(self, where: str) -> None:
        """Count an unexpected exception on a delivery thread."""
        self._metrics.deliveries.labels(where, "crashed").inc()

    def collapsed(self, sink: str, entries: int) -> None:
        """Count messages that were dropped, as a later one told of the same incident."""
        self._metrics.messages_collapsed.labels(sink).inc(entries)

    def template_failed(self, sink: str) -> None:
        """Count a message that went out with the built-in body, as the sink's template failed."""
        self._metrics.template_errors.labels(sink).inc()

    def backlog(self, sink: str, entries: int, oldest: float) -> None:
        """Say what waits for a sink."""
        self._metrics.outbox_alerts.labels(sink).set(entries)
        self._metrics.outbox_oldest_timestamp_seconds.labels(sink).set(oldest)
