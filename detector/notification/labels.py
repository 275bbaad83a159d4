"""The labels of an incident, that matchers and groups go by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.types import KnownIncident

Labels = dict[str, str]


class Labelling:
    """Gives an incident its labels; named groups of `pattern` in the entity's whole name are labels too."""

    def __init__(self, pattern: str | None = None) -> None:
        self._pattern = None if pattern is None else re.compile(pattern)

    def __call__(self, incident: KnownIncident) -> Labels:
        """Return topic, partition, entity ("" = none), severity and kind, and those of the event and the pattern."""
        entity = incident.entity or ""
        own = {
            "topic": incident.partition.topic,
            "partition": str(incident.partition.number),
            "entity": entity,
            "severity": incident.severity.value,
            "kind": incident.kind,
        }
        found = self._pattern.fullmatch(entity) if self._pattern else None
        groups = {name: value or "" for name, value in (found.groupdict() if found else {}).items()}
        return incident.labels | groups | own
