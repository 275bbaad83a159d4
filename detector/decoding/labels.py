"""Labels of rows: read from their records anew when they are asked for, as they are of hardly any row."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import attrgetter

from detector.decoding.paths import FieldPath, RecordPath
from detector.decoding.plan import Plan
from detector.types import Record

Lookup = Callable[[int, FieldPath], object]
"""Returns what stands at a path of a record's row, by the row's number; None where nothing does."""

_MOST_BYTES = 256


def of_rows(
    plan: Plan, records: Sequence[Record], opened: Callable[[bytes], Lookup]
) -> Callable[[int, int], dict[str, str]] | None:
    """Return what tells the labels of a row of some records by offset and number; None where none are configured.

    `opened` parses the value of a record that yields rows. A record is parsed once, however many rows are asked for.
    """
    if not plan.labels:
        return None
    known: dict[int, Lookup] = {}

    def labels(offset: int, row: int) -> dict[str, str]:
        record = records[bisect_left(records, offset, key=attrgetter("offset"))]
        found = {}
        for label, path in plan.labels:
            if isinstance(path, RecordPath):
                found[label] = text_of(path.text(record))
            else:
                if offset not in known:
                    known[offset] = opened(record.value or b"")
                found[label] = text_of(known[offset](row, path))
        return found

    return labels


def text_of(value: object) -> str:
    """Return a value as a label has it: text (256 bytes of it at most), a number or a bool as JSON has it; "" else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        value = str(value) if value.bit_length() < _MOST_BYTES else ""
    elif isinstance(value, float):
        value = repr(value) if math.isfinite(value) else ""
    elif isinstance(value, Decimal):
        value = str(value)
    if not isinstance(value, str):
        return ""
    return value.encode(errors="replace")[:_MOST_BYTES].decode(errors="ignore")
