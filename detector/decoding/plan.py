"""What the configuration asks of every record, with its paths parsed: the same for all formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from detector.decoding.paths import FieldPath, Path, RecordPath, parse, parse_field
from detector.decoding.values import Expected, matches_text

if TYPE_CHECKING:
    from detector.config.sections import Events, Limits
    from detector.types import Record


@dataclass(frozen=True, slots=True)
class Plan:
    """How a record becomes rows.

    features       the path of each column
    required       columns that must be there (`missing: reject`)
    entity         None where the configuration names none
    time           None = the record's own timestamp
    unit           of `time`
    array          where in the document the events stand; None = the document itself
    where          conditions on fields of the event
    where_record   conditions on the record's key and headers
    labels         names of labels, and their paths
    """

    features: tuple[Path, ...]
    required: list[int]
    entity: Path | None
    time: Path | None
    unit: Literal["s", "ms", "us", "ns", "rfc3339"]
    array: FieldPath | None
    where: tuple[tuple[FieldPath, Expected], ...]
    where_record: tuple[tuple[RecordPath, Expected], ...]
    feature_labels: tuple[str, ...]
    entity_label: str
    time_label: str
    limits: Limits
    labels: tuple[tuple[str, Path], ...]

    @property
    def feature_fields(self) -> list[FieldPath]:
        """The paths of the features that stand in the event, in the order of their columns."""
        return [path for path in self.features if isinstance(path, FieldPath)]

    @property
    def entity_field(self) -> FieldPath | None:
        """The entity's path where it stands in the event."""
        return self.entity if isinstance(self.entity, FieldPath) else None

    @property
    def time_field(self) -> FieldPath | None:
        """The timestamp's path where it stands in the event."""
        return self.time if isinstance(self.time, FieldPath) else None

    def wants(self, record: Record) -> bool:
        """Judge a record by its key and headers."""
        return all(matches_text(path.text(record), expected) for path, expected in self.where_record)


def compile_plan(events: Events) -> Plan:
    """Parse the paths of the configuration. ConfigError, naming the place, where one cannot be read."""
    where = [(parse(text, f"events.where.{text}"), expected) for text, expected in events.where.items()]
    paths = [feature.name if feature.path is None else feature.path for feature in events.features]
    return Plan(
        features=tuple(parse(text, f"events.features[{n}].path") for n, text in enumerate(paths)),
        required=[n for n, f in enumerate(events.features) if (f.missing or events.missing) == "reject"],
        entity=None if events.entity is None else parse(events.entity, "events.entity"),
        time=None if events.timestamp.path is None else parse(events.timestamp.path, "events.timestamp.path"),
        unit=events.timestamp.unit,
        array=None if events.events is None else parse_field(events.events, "events.events"),
        where=tuple((path, expected) for path, expected in where if isinstance(path, FieldPath)),
        where_record=tuple((path, expected) for path, expected in where if isinstance(path, RecordPath)),
        feature_labels=tuple(f"feature {f.name!r} ({path})" for f, path in zip(events.features, paths, strict=True)),
        entity_label=f"entity ({events.entity})",
        time_label=f"timestamp ({events.timestamp.path})",
        limits=events.limits,
        labels=tuple((name, parse(text, f"events.labels.{name}")) for name, text in events.labels.items()),
    )
