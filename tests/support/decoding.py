"""What the tests of every decoder share: mutations of valid samples, and the account of what became of records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from detector.protocols import Decoder
from detector.types import Decoded, PlainRecord, Record

STAMP = 1_795_413_922_000


def records_of(values: Sequence[bytes | None]) -> list[PlainRecord]:
    """Make records of values, with offsets from 0."""
    return [PlainRecord(offset, STAMP, None, value) for offset, value in enumerate(values)]


def mutations(samples: Sequence[bytes], number: int, seed: int) -> Iterator[bytes]:
    """Yield random, truncated and mutated byte strings: a function of the seed."""
    rng = np.random.default_rng(seed)
    for kind in rng.integers(0, 8, number).tolist():
        sample = samples[int(rng.integers(len(samples)))]
        at, to = sorted(rng.integers(0, len(sample) + 1, 2).tolist())
        if kind == 0:
            yield rng.bytes(int(rng.integers(0, 200)))
        elif kind == 1:
            yield sample[:at]
        elif kind == 2:
            yield sample[:at] + sample[to:]
        elif kind == 3:
            yield sample[:to] + sample[at:]
        elif kind == 4:
            yield sample[:at] + rng.bytes(int(rng.integers(1, 9))) + sample[at:]
        else:
            changed = bytearray(sample)
            for place in rng.integers(0, len(sample), int(rng.integers(1, 5))).tolist():
                changed[place] = rng.choice((0, 0x7F, 0x80, 0xFF, changed[place] ^ (1 << int(rng.integers(8)))))
            yield bytes(changed)


def account(records: Sequence[Record], decoded: Decoded) -> Counter[str]:
    """Check that every record ended as rows, as a reject or passed over, each row exactly once; return the counts.

    For decoders without `where`: there a record's rows are numbered without gaps.
    """
    numbers: dict[int, list[int]] = {record.offset: [] for record in records}
    for offset, row in zip(decoded.rows.offsets.tolist(), decoded.rows.rows.tolist(), strict=True):
        numbers[offset].append(row)
    whole = 0
    for reject in decoded.rejects:
        assert len(reject.detail) <= 200
        assert reject.detail.isprintable()
        assert len(reject.reasons) == max(len(reject.rows), 1)
        if not reject.rows:
            assert not numbers[reject.record.offset]
            del numbers[reject.record.offset]
            whole += 1
        else:
            numbers[reject.record.offset].extend(reject.rows)
    assert all(sorted(rows) == list(range(len(rows))) for rows in numbers.values())
    assert sum(not rows for rows in numbers.values()) == decoded.passed_over
    assert np.isfinite(decoded.rows.times).all()
    assert not np.isinf(decoded.rows.values.astype(np.float32)).any()
    assert not np.isnan(decoded.rows.values).all(axis=1).any()
    rejected = sum(len(reject.rows) for reject in decoded.rejects)
    return Counter(rows=len(decoded.rows), rejected=rejected, records=whole, passed_over=decoded.passed_over)


def assert_same(one: Decoded, other: Decoded) -> None:
    """Check that two results are equal, bit for bit."""
    for name in ("offsets", "rows", "times", "values"):
        left, right = getattr(one.rows, name), getattr(other.rows, name)
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert left.tobytes() == right.tobytes(), name
    assert one.rows.entities == other.rows.entities
    assert one.rejects == other.rejects
    assert one.passed_over == other.passed_over


def joined(parts: Sequence[Decoded]) -> Decoded:
    """Put the results of consecutive pieces together."""
    rows = parts[0].rows
    entities = None if rows.entities is None else [name for part in parts for name in part.rows.entities or ()]
    together = type(rows)(
        np.concatenate([part.rows.offsets for part in parts]),
        np.concatenate([part.rows.rows for part in parts]),
        np.concatenate([part.rows.times for part in parts]),
        np.concatenate([part.rows.values for part in parts]),
        entities,
    )
    rejects = [reject for part in parts for reject in part.rejects]
    return Decoded(together, rejects, sum(part.passed_over for part in parts))


def fuzz(decoder: Decoder, samples: Sequence[bytes], number: int, seed: int) -> Counter[str]:
    """Decode mutations in batches, check each batch's account, and one batch against the same in single records."""
    total: Counter[str] = Counter()
    values = list(mutations(samples, number, seed))
    for start in range(0, number, 500):
        records = records_of(values[start : start + 500])
        decoded = decoder.decode(records)
        total += account(records, decoded)
        if start == 0:
            assert_same(joined([decoder.decode([record]) for record in records]), decoded)
    return total
