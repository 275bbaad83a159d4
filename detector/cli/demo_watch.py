"""What the demo's view shows of the pipeline: it stands before the metrics and passes everything on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from detector.alerts.raising import shares
from detector.cli.demo_snapshot import Finding
from detector.models.progress import Progress
from detector.owned import Owned
from detector.pipeline import Observer
from detector.portion import Done
from detector.store.writer import Finished
from detector.types import Batch, OutboxEntry, Rows

_TOP_SECONDS = 10.0
_SCORES = 200


class Watcher:
    """Stands before the metrics and keeps what the view shows: the highest scores, and the top event of late.

    began  when the first events were taken: what comes before is the start, TensorFlow's import and compilation
    """

    def __init__(self, behind: Observer) -> None:
        self._behind = behind
        self.events = 0
        self.began = time.monotonic()
        self.scores: deque[float] = deque(maxlen=_SCORES)
        self.top: Finding | None = None
        self._top_at = 0.0

    def decoded(self, owned: Owned, done: Done, seconds: float) -> None:
        """Count rows."""
        if not self.events:
            self.began = time.monotonic() - seconds
        self.events += done.rows
        self._behind.decoded(owned, done, seconds)

    def advanced(self, owned: Owned, rows: Rows, progress: Progress) -> None:
        """Keep the highest score."""
        if progress.top is not None:
            now = time.monotonic()
            self.scores.append(progress.top.score)
            if self.top is None or progress.top.score >= self.top.score or now - self._top_at > _TOP_SECONDS:
                top = progress.top
                self.top = Finding(
                    time=float(rows.times[top.row]),
                    entity=rows.entities[top.row] if rows.entities is not None else str(owned.partition),
                    score=top.score,
                    at_least=top.at_least,
                    features=shares(owned.detection, top),
                )
                self._top_at = now
        self._behind.advanced(owned, rows, progress)

    def alerted(self, entries: Sequence[OutboxEntry]) -> None:
        """Pass on."""
        self._behind.alerted(entries)

    def read(self, owned: Owned, batch: Batch) -> None:
        """Pass on."""
        self._behind.read(owned, batch)

    def saved(self, owned: Owned, finished: Finished, evicted: int) -> None:
        """Pass on."""
        self._behind.saved(owned, finished, evicted)
