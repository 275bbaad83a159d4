"""How a record becomes rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from detector.config.connection import Registry
from detector.config.filters import Filter
from detector.config.labels import LabelName
from detector.config.paths import FieldPathText, PathText, clash, odd_name, split
from detector.config.section import Section
from detector.config.transforms import Cycle, Missing, Transforms
from detector.config.units import NUMBER, Bytes, Count, Seconds

_MOST_COLUMNS = 1024


class Timestamp(Section):
    """Where an event's time stands."""

    path: PathText | None = None
    """Path of the field; absent = the record's own Kafka timestamp."""
    unit: Literal["s", "ms", "us", "ns", "rfc3339"] = "ms"
    """Its unit since the epoch, or RFC 3339 text."""


class Limits(Section):
    """Bounds on what a record may hold; what is beyond is rejected."""

    record_bytes: Bytes = 4 << 20
    """Size of a record's value. A stream of Arrow is unpacked up to 16 times as much, and so is a compressed batch of
    Kafka, or to 64 MiB: the record that goes beyond is rejected, and those behind it in the batch are lost."""
    depth: Annotated[int, Field(ge=1, le=256), NUMBER] = 32
    """Nesting of a JSON document."""
    rows: Count = 100_000
    """Rows in one record."""
    entity_bytes: Count = 256
    """Length of an entity's name in UTF-8."""
    too_old: Seconds = 7 * 86400.0
    """How far an event's time may lie before its record's Kafka timestamp."""
    too_far_ahead: Seconds = 3600.0
    """How far an event's time may lie after its record's Kafka timestamp."""


class Feature(Section):
    """One feature."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    """Its name in alerts."""
    path: PathText | None = None
    """Where it stands in the event; its name where absent."""
    unit: str = ""
    """Its unit, for people."""
    filter: Filter = Filter()
    """Which of its values count towards a score; all, where absent."""
    missing: Missing | None = None
    """What is done where it is missing; absent = what `events.missing` says."""
    transforms: Transforms | None = None
    """What is done to it, in this order; absent = what `events.transforms` says, [] = nothing."""

    @model_validator(mode="after")
    def _name_is_a_path(self) -> Feature:
        if self.path is None:
            try:
                split(self.name)
            except ValueError as error:
                message = f"the name `{self.name}` cannot be read as a path: {error}; or give a `path` beside it"
                raise ValueError(message) from None
        return self


class Events(Section):
    """How a record becomes rows.

    A path is names joined by dots (`metrics.cpu`); a name that holds a dot is quoted (`metrics."a.b"`); `$key` is the
    record's key and `$headers.NAME` a header.
    """

    format: Literal["json", "arrow", "avro"] = "json"
    """JSON (one event, or an array of events), Arrow IPC streams, or Avro with a schema registry."""
    features: Annotated[list[Feature], Field(min_length=1, max_length=1024)]
    """The features, in order. A plain name stands for {name: NAME}."""
    missing: Missing = "ignore"
    """What is done where a feature is missing: `ignore` = it is left out of the distance; `previous` = the entity's
    last observed value stands in; `zero` = 0 does; `reject` = the event is rejected."""
    transforms: Transforms = []
    """What is done to each feature, in this order: `log1p`; `difference` to the entity's last value; `rate` = rise of
    a counter per second; `{ema: N}` = mean with a half-life of N events; `{lags: N}`, as the last one, makes the N
    values before it features of the model too."""
    cycles: list[Cycle] = []
    """Cycles of the event time (UTC) that become features: `hour_of_day`, `day_of_week`."""
    entity: PathText | None = None
    """Path of the entity (a host, a sensor); absent = one model per partition."""
    timestamp: Timestamp = Timestamp()
    """Where an event's time stands."""
    labels: Annotated[dict[LabelName, PathText], Field(max_length=16)] = {}
    """Labels of incidents, by name, and the paths that they are read at, in the row that opens an incident: for routes,
    `group_by`, silences, templates and Alertmanager. Text, at most 256 bytes of it, or a number or a bool; what is
    missing is the empty text. They are read of such rows only, and cost nothing else."""
    events: FieldPathText | None = None
    """Path of the array of events inside a record, where it is not the document itself."""
    where: dict[PathText, str | int | float | bool] = {}
    """Equality on paths; events that do not match are passed over and counted."""
    registry: Registry | None = None
    """The schema registry; required for `avro`. It is no part of what decides detection."""
    limits: Limits = Limits()
    """Bounds on what a record may hold."""

    @model_validator(mode="before")
    @classmethod
    def _accept_names(cls, given: object) -> object:
        if isinstance(given, dict) and isinstance(given.get("features"), list):
            features = [{"name": f} if isinstance(f, str) else f for f in given["features"]]
            return {**given, "features": features}
        return given

    @model_validator(mode="after")
    def _consistent(self) -> Events:
        names = [f.name for f in self.features]
        twice = {n for n in names if names.count(n) > 1}
        if twice:
            message = f"feature names must differ; given twice: {', '.join(sorted(twice))}"
            raise ValueError(message)
        if self.format == "json":
            self._check_paths()
        if self.format == "arrow" and self.events is not None:
            message = "an Arrow stream has no arrays of events inside its rows; leave `events.events` out"
            raise ValueError(message)
        self._check_transforms()
        return self

    def _check_paths(self) -> None:
        own = [*self.labels.values(), *([] if self.events is None else [self.events])]
        for path in (*(path for path, _ in self._read()), *own):
            if (odd := odd_name(path)) is not None:
                message = (
                    f"the name {odd!r} holds a quote, a backslash or a control character; fields of such names cannot "
                    "be read from JSON, so rename the field"
                )
                raise ValueError(message)
        if (why := clash(self._read())) is not None:
            raise ValueError(why)
        if (why := clash((path, None) for path in self.labels.values())) is not None:
            message = f"labels: {why}"
            raise ValueError(message)

    def _read(self) -> Iterator[tuple[str, str | None]]:
        """Yield each path into the event, and what is read there."""
        for feature in self.features:
            yield feature.path or feature.name, "a number"
        if self.timestamp.path is not None:
            yield self.timestamp.path, "text" if self.timestamp.unit == "rfc3339" else "a number"
        if self.entity is not None:
            yield self.entity, "a name"
        for path in self.where:
            yield path, None

    def _check_transforms(self) -> None:
        if len(set(self.cycles)) < len(self.cycles):
            message = "events.cycles names a cycle twice"
            raise ValueError(message)
        columns = len(self.features) + 2 * len(self.cycles)
        for feature in self.features:
            steps = self.transforms if feature.transforms is None else feature.transforms
            missing = feature.missing or self.missing
            if missing in {"previous", "zero"} and any(step.kind == "rate" for step in steps):
                message = (
                    f"feature {feature.name!r} has `rate` and `missing: {missing}`, but a counter that is filled in "
                    "rises by too little, and then by too much: give it `missing: ignore`, or `reject`"
                )
                raise ValueError(message)
            columns += sum(int(step.number) for step in steps if step.kind == "lags")
        if columns > _MOST_COLUMNS:
            message = f"with lags and cycles the model would have {columns} features; at most {_MOST_COLUMNS}"
            raise ValueError(message)
