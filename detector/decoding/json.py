"""JSON: one event a record, or an array of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from detector.decoding import timestamps
from detector.decoding.depth import too_deep
from detector.decoding.labels import Lookup
from detector.decoding.paths import FieldPath
from detector.decoding.plan import Plan
from detector.decoding.rows import Fault, Found, Screened, assemble, not_a_number, screen
from detector.decoding.shape import ArrayPlace, Event, first_byte, lay_out, lay_out_labels
from detector.decoding.values import matches, name
from detector.types import Decoded, Float64, Record, RejectReason

_FAILURES = (msgspec.MsgspecError, ValueError, RecursionError)
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(slots=True)
class _Events:
    """The events of a batch, pairwise with their record's number in it and their own number in the record."""

    events: list[Event] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    faults: dict[int, Fault] = field(default_factory=dict)
    passed_over: int = 0

    def add(self, event: Event, owner: int, number: int) -> None:
        """Add an event."""
        self.events.append(event)
        self.owners.append(owner)
        self.numbers.append(number)

    def keep(self, wanted: list[bool]) -> None:
        """Pass over the events that are not wanted."""
        if all(wanted):
            return
        kept = [index for index, keep in enumerate(wanted) if keep]
        self.passed_over += len(wanted) - len(kept)
        self.faults = {new: self.faults[old] for new, old in enumerate(kept) if old in self.faults}
        self.events = list(compress(self.events, wanted))
        self.owners = list(compress(self.owners, wanted))
        self.numbers = list(compress(self.numbers, wanted))


class JsonDecoder:
    """Decodes JSON records. A Decoder: never raises for what a record holds.

    Records that are a plain event each are parsed all in one go into structs of the configured paths; where anything
    in them is not as expected, they are read one by one, a record that fails event by event, and an event that fails
    again value by value, to find out which row is at fault.
    With `where`, what is not an object (or holds no array of events) is passed over, since it cannot match.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        layout = lay_out(plan)
        event = layout.shape.strict
        self._shape = layout.shape
        self._event = msgspec.json.Decoder(event)
        self._array = None if plan.array is None else ArrayPlace(plan.array, event)
        whole: Any = event | list[event] if self._array is None else self._array.document  # type: ignore[valid-type]  # event is made at run time
        self._document = msgspec.json.Decoder(whole)
        self._time = layout.time if plan.unit == "rfc3339" else None
        self._number_time = None if plan.unit == "rfc3339" else layout.time
        self._numbers = layout.features if self._number_time is None else (*layout.features, self._number_time)
        self._entity = layout.entity
        self._where = layout.where
        self._labels = lay_out_labels(plan)

    def decode(self, records: Sequence[Record]) -> Decoded:
        """Decode records in order, each one independently of the others."""
        plan = self._plan
        screened = screen(plan, records)
        events = _Events(passed_over=screened.passed_over)
        if not self._add_lines(events, screened):
            self._add_each(events, screened)
        for place, (_, expected) in zip(self._where, plan.where, strict=True):
            column = map(attrgetter(place), events.events)
            events.keep([matches(value, expected) for value in column])
        return assemble(plan, records, self._found(events, screened.refused), self._opened)

    def _opened(self, value: bytes) -> Lookup:
        """Parse a record for the labels of its rows; one that cannot be parsed has none."""
        shape, places = self._labels
        try:
            raws = self._raw_events(value) or []
        except _FAILURES:
            raws = []
        known: dict[int, Event] = {}

        def look(row: int, path: FieldPath) -> object:
            if row not in known:
                try:
                    known[row] = shape.careful(raws[row], [])
                except (*_FAILURES, IndexError):
                    known[row] = shape.strict()
            return places[path](known[row])

        return look

    def _add_lines(self, events: _Events, screened: Screened) -> bool:
        """Parse all records in one go, as lines; False, with nothing added, unless each is a plain event.

        A line break parts two records only where no record holds one itself, and where there are as many events as
        records: then none can have run into the next.
        """
        values = screened.values
        if self._array is not None or not values:
            return False
        lines = b"\n".join(values)
        if lines.count(b"\n") != len(values) - 1 or not self._flat(lines, values):
            return False
        try:
            documents = self._event.decode_lines(lines)
        except _FAILURES:
            return False
        if len(documents) != len(values):
            return False
        events.events, events.owners, events.numbers = documents, screened.numbers, [0] * len(documents)
        return True

    def _flat(self, lines: bytes, values: list[bytes]) -> bool:
        """Tell whether no line opens more objects and arrays than a document may nest."""
        opened = lines.count(b"{") + lines.count(b"[")
        depth = self._plan.limits.depth
        # Each event opens one at least, so this many are left for any one of them.
        return opened - len(values) < depth or all(v.count(b"{") + v.count(b"[") <= depth for v in values)

    def _add_each(self, events: _Events, screened: Screened) -> None:
        """Parse record by record."""
        depth = self._plan.limits.depth
        parse = self._document.decode
        plain = self._array is None
        for n, value in zip(screened.numbers, screened.values, strict=True):
            if too_deep(value, depth):
                text = f"the document nests deeper than {depth} levels (events.limits.depth)"
                screened.refused[n] = (RejectReason.TOO_DEEP, text)
                continue
            try:
                document = parse(value)
            except _FAILURES:
                refused = self._add_carefully(events, n, value)
            else:
                if plain and type(document) is not list:
                    events.add(document, n, 0)
                    continue
                refused = self._add_array(events, n, document)
            if refused is not None:
                screened.refused[n] = refused

    def _found(self, events: _Events, refused: dict[int, Fault]) -> Found:
        numbers = self._matrix(events.events)
        values, times = numbers, None
        if self._number_time is not None:
            values = np.ascontiguousarray(numbers[:, :-1])
            times = timestamps.from_numbers(numbers[:, -1].copy(), self._plan.unit)
        elif self._time is not None:
            times = timestamps.from_texts(list(map(attrgetter(self._time), events.events)))
        return Found(
            owners=np.array(events.owners, dtype=np.int64),
            numbers=np.array(events.numbers, dtype=np.int32),
            values=values,
            times=times,
            entities=self._names(events.events),
            faults=events.faults,
            refused=refused,
            passed_over=events.passed_over,
        )

    def _matrix(self, events: list[Event]) -> Float64:
        """Return the numbers of each event, [n, columns]; None becomes NaN."""
        width = len(self._numbers)
        if width == 0:
            return np.empty((len(events), 0))
        found = map(attrgetter(*self._numbers), events)
        flat = found if width == 1 else chain.from_iterable(found)
        return np.fromiter(flat, np.float64, len(events) * width).reshape(len(events), width)

    def _names(self, events: list[Event]) -> list[str | None] | None:
        if self._entity is None:
            return None
        limit = self._plan.limits.entity_bytes
        surely = limit // 4
        found = map(attrgetter(self._entity), events)
        return [v if type(v) is str and 0 < len(v) <= surely else name(v, limit) for v in found]

    def _add_array(self, events: _Events, n: int, document: Any) -> Fault | None:
        array = document if self._array is None else self._array.get(document)
        if array is msgspec.UNSET:
            return self._without_events(events)
        if len(array) > self._plan.limits.rows:
            return self._too_many(len(array))
        events.passed_over += not array  # an empty array holds nothing to use and nothing wrong
        events.events.extend(array)
        events.owners.extend([n] * len(array))
        events.numbers.extend(range(len(array)))
        return None

    def _too_many(self, rows: int) -> Fault:
        limit = self._plan.limits.rows
        return RejectReason.TOO_MANY_ROWS, f"the record holds {rows} events; at most {limit} (events.limits.rows)"

    def _without_events(self, events: _Events) -> Fault | None:
        if self._where:
            events.passed_over += 1
            return None
        if self._plan.array is None:
            return RejectReason.NOT_AN_EVENT, "expected a JSON object, or an array of them"
        path = ".".join(self._plan.array.names)
        return RejectReason.NOT_AN_EVENT, f"expected an array of events at {path} (events.events)"

    def _add_carefully(self, events: _Events, n: int, value: bytes) -> Fault | None:
        """Add a record that is not all as expected; returns why it yields no rows, where that is so."""
        try:
            raws = self._raw_events(value)
            if raws is None:
                return self._without_events(events)
            if len(raws) > self._plan.limits.rows:
                return self._too_many(len(raws))
            found = [self._careful_event(raw) for raw in raws]
        except RecursionError:
            return RejectReason.TOO_DEEP, "the document nests too deep to be parsed"
        except (msgspec.DecodeError, ValueError) as error:
            return RejectReason.UNDECODABLE, f"not JSON: {error}"
        events.passed_over += not found
        for number, (event, fault) in enumerate(found):
            if fault is not None:
                events.faults[len(events.events)] = fault
            events.add(event, n, number)
        return None

    def _raw_events(self, value: bytes) -> list[bytes] | list[msgspec.Raw] | None:
        """Return the bytes of each event; None where there are none."""
        if self._array is not None:
            array = self._array.careful(value)
            return None if array is None else _RAWS.decode(array)
        first = first_byte(value)
        if first == b"[":
            return _RAWS.decode(value)
        if first == b"{":
            return [value]
        msgspec.json.decode(value, type=msgspec.Raw)
        return None

    def _careful_event(self, raw: bytes | msgspec.Raw) -> tuple[Event, Fault | None]:
        try:
            return self._event.decode(raw), None
        except _FAILURES:
            if first_byte(raw) != b"{":
                return self._shape.strict(), (RejectReason.NOT_AN_EVENT, "an element of the array is not an object")
        wrong: list[int] = []
        event = self._shape.careful(raw, wrong)
        return event, not_a_number(self._plan, min(wrong)) if wrong else None
