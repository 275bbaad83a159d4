from __future__ import annotations

import datetime as dt
import math
import struct
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from detector.config.sections import Events
from detector.decoding import build
from detector.decoding.envelope import MalformedError, claims
from detector.types import Decoded, PlainRecord, RejectReason

NOW = 1_795_413_922_000


def stream(*batches: Any, compression: str | None = None, schema: Any = None) -> bytes:
    out = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(out, batches[0].schema if schema is None else schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(out.getvalue().to_pybytes())


def batch(**columns: Any) -> Any:
    return pa.record_batch(columns)


def decode(config: dict[str, Any], *values: bytes | None, timestamp: int = NOW, key: bytes | None = None) -> Decoded:
    records = [PlainRecord(100 + n, timestamp, key, value) for n, value in enumerate(values)]
    return build(Events.model_validate({"format": "arrow", **config})).decode(records)


def test_a_record_of_several_batches_becomes_rows() -> None:
    hosts = pa.array(["b", "a", "b"]).dictionary_encode()
    one = batch(a=pa.array([1.5, 2, 3], pa.float32()), b=pa.array([1, None, 3]), host=hosts, t=pa.array([NOW] * 3))
    config = {"features": ["a", "b"], "entity": "host", "timestamp": {"path": "t"}}
    decoded = decode(config, stream(one, one), stream(one.slice(1)))
    assert decoded.rows.values.tolist()[0] == [1.5, 1.0]
    assert math.isnan(decoded.rows.values[1, 1])
    assert decoded.rows.values.dtype == np.float64
    assert decoded.rows.entities == ["b", "a", "b"] * 2 + ["a", "b"]
    assert decoded.rows.offsets.tolist() == [100] * 6 + [101] * 2
    assert decoded.rows.rows.tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    assert decoded.rows.times.tolist() == [NOW / 1e3] * 8
    assert decoded.rejects == []


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.decimal128(9, 2), pa.decimal256(50, 2)],
)
def test_numbers_of_any_width_are_read(kind: Any) -> None:
    plain = pa.array([Decimal(5) if pa.types.is_decimal(kind) else 5, None], kind)
    columns = [plain] if pa.types.is_decimal(kind) or pa.types.is_float16(kind) else [plain, plain.dictionary_encode()]
    for array in columns:
        values = decode({"features": ["a", "b"]}, stream(batch(a=array, b=pa.array([1, 1])))).rows.values
        assert values[0, 0] == 5.0
        assert math.isnan(values[1, 0])


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (pa.array([1.0, math.nan, 3.0]), RejectReason.NOT_FINITE),
        (pa.array([None, math.nan, 3.0]), RejectReason.NOT_FINITE),
        (pa.array([1.0, -math.inf, 3.0]), RejectReason.NOT_FINITE),
        (pa.array([1.0, 1e39, 3.0]), RejectReason.NOT_FINITE),
        (pa.array([None, "x", None]), RejectReason.NOT_A_NUMBER),
        (pa.array([None, True, None]), RejectReason.NOT_A_NUMBER),
        (pa.array([None, [1.0], None]), RejectReason.NOT_A_NUMBER),
        (pa.array([None, "x", None]).dictionary_encode(), RejectReason.NOT_A_NUMBER),
    ],
)
def test_one_bad_value_rejects_its_row_alone(array: Any, reason: RejectReason) -> None:
    decoded = decode({"features": ["a", "b"]}, stream(batch(a=array, b=pa.array([1, 2, 3]))))
    assert decoded.rows.rows.tolist() == [0, 2]
    assert decoded.rejects[0].rows == (1,)
    assert decoded.rejects[0].reasons == (reason,)
    assert "feature 'a' (a)" in decoded.rejects[0].detail


def test_a_row_of_nulls_or_without_the_columns_has_no_features() -> None:
    decoded = decode({"features": ["a", "z"]}, stream(batch(a=pa.array([1.0, None]))), stream(batch(b=pa.nulls(1))))
    assert len(decoded.rows) == 1
    assert [r.reasons for r in decoded.rejects] == [(RejectReason.NO_FEATURES,)] * 2


def test_paths_lead_through_structs_and_nulls_of_a_struct_count() -> None:
    inner = pa.StructArray.from_arrays([pa.array([1.0, 2.0, 3.0])], names=["cpu"], mask=pa.array([False, True, False]))
    decoded = decode({"features": ["m.cpu", "b"]}, stream(batch(m=inner, b=pa.array([1, 2, 3]))))
    assert decoded.rows.values[[0, 2], 0].tolist() == [1.0, 3.0]
    assert math.isnan(decoded.rows.values[1, 0])
    through = decode({"features": ["b.cpu", "m"]}, stream(batch(m=pa.array([1.0]), b=pa.array([1]))))
    assert math.isnan(through.rows.values[0, 0])


def test_the_last_of_equal_columns_counts() -> None:
    twice = pa.record_batch([pa.array([1.0]), pa.array([2.0])], names=["a", "a"])
    assert decode({"features": ["a"]}, stream(twice)).rows.values.tolist() == [[2.0]]


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["x", "", None, "y" * 9, "é"]),
        pa.array(["x", "", None, "y" * 9, "é"], pa.large_string()),
        pa.array(["x", "", None, "y" * 13, "é"], pa.string_view()),
        pa.array(["pad", "x", "", None, "y" * 13, "é"], pa.string_view()).slice(1),
        pa.array(["x", "", None, "y" * 9, "é"]).dictionary_encode(),
        pa.array(["x", "", None, "y" * 13, "é"], pa.string_view()).dictionary_encode(),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3, 4], pa.uint8()), pa.array(["x", "", None, "y" * 9, "é"])),
    ],
)
def test_entities_are_names_of_bounded_length(array: Any) -> None:
    config = {"features": ["a"], "entity": "e", "limits": {"entity_bytes": 8}}
    decoded = decode(config, stream(batch(a=pa.array([1.0] * 5), e=array)))
    assert decoded.rows.entities == ["x", "é"]
    assert decoded.rejects[0].rows == (1, 2, 3)
    assert set(decoded.rejects[0].reasons) == {RejectReason.NO_ENTITY}


def test_entities_may_be_integers_but_nothing_else() -> None:
    config = {"features": ["a"], "entity": "e"}
    two = {"a": pa.array([1.0, 1.0])}
    assert decode(config, stream(batch(**two, e=pa.array([7, -7])))).rows.entities == ["7", "-7"]
    assert decode(config, stream(batch(**two, e=pa.array([7, 8]).dictionary_encode()))).rows.entities == ["7", "8"]
    for other in (pa.array([1.5, 2.5]), pa.array([True, False]), pa.array([b"x", b"y"])):
        for array in (other, other.dictionary_encode()):
            assert decode(config, stream(batch(**two, e=array))).rejects[0].reasons == (RejectReason.NO_ENTITY,) * 2
    assert decode(config, stream(batch(**two))).rejects[0].reasons == (RejectReason.NO_ENTITY,) * 2


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Kolkata"])
def test_timestamp_columns_count_in_their_own_unit(unit: str, zone: str | None) -> None:
    counts = pa.array([NOW // 1000, None]).cast(pa.timestamp("s", zone)).cast(pa.timestamp(unit, zone))
    decoded = decode(
        {"features": ["a"], "timestamp": {"path": "t", "unit": "ns"}}, stream(batch(a=pa.array([1.0, 1.0]), t=counts))
    )
    assert decoded.rows.times.tolist() == [NOW / 1e3]
    assert decoded.rejects[0].reasons == (RejectReason.NO_TIMESTAMP,)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), "dictionary"])
def test_times_may_be_text(kind: Any) -> None:
    texts = pa.array(["2026-11-23T06:05:22Z", "soon", None, "2026-11-23T06:05:23Z", "x" * 100])
    array = texts.dictionary_encode() if kind == "dictionary" else texts.cast(kind)
    config = {"features": ["a"], "timestamp": {"path": "t", "unit": "rfc3339"}}
    decoded = decode(config, stream(batch(a=pa.array([1.0] * 5), t=array)))
    assert decoded.rows.times.tolist() == [NOW / 1e3, NOW / 1e3 + 1]
    assert decoded.rejects[0].rows == (1, 2, 4)


def test_a_column_that_is_no_time_rejects_every_row() -> None:
    for unit, array in (
        ("ms", pa.array(["x"])),
        ("rfc3339", pa.array([1.0])),
        ("ms", pa.array([dt.date(2026, 11, 23)])),
    ):
        config = {"features": ["a"], "timestamp": {"path": "t", "unit": unit}}
        decoded = decode(config, stream(batch(a=pa.array([1.0]), t=array)))
        assert decoded.rejects[0].reasons == (RejectReason.NO_TIMESTAMP,)


@pytest.mark.parametrize(
    ("expected", "array"),
    [
        ("x", pa.array(["x", "y", None, "x"])),
        ("x", pa.array(["x", "y", None, "x"]).dictionary_encode()),
        ("x", pa.array(["x", "y", None, "x"], pa.string_view())),
        ("", pa.array(["", "y", None, ""], pa.string_view())),
        (7, pa.array([7, 8, None, 7])),
        (7, pa.array([7.0, 8.0, None, 7.0])),
        (7, pa.array([7, 8, None, 7]).dictionary_encode()),
        (True, pa.array([True, False, None, True])),
    ],
)
def test_where_passes_over_rows_before_anything_rejects_them(expected: object, array: Any) -> None:
    views = pa.array(["", "", "", ""], pa.string_view())
    a, t = pa.array(["bad", None, "bad", None]), pa.array([NOW, None, None, NOW])
    one = batch(k=array, a=a, b=pa.array([1, 2, 3, 4]), t=t, views=views)
    config = {"features": ["a", "b"], "timestamp": {"path": "t"}, "where": {"k": expected}}
    decoded = decode(config, stream(one, one))
    assert decoded.passed_over == 4
    assert decoded.rows.rows.tolist() == [3, 7]
    assert decoded.rejects[0].rows == (0, 4)
    assert set(decoded.rejects[0].reasons) == {RejectReason.NOT_A_NUMBER}


def test_where_never_matches_a_column_of_another_type_or_none() -> None:
    one = batch(a=pa.array([1.0]), k=pa.array([1]), s=pa.array(["1"]), d=pa.array([[1]]), b=pa.array([True]))
    for where in ({"k": "1"}, {"k": True}, {"s": 1}, {"d": 1}, {"d": "1"}, {"b": 1}, {"z": 1}):
        assert decode({"features": ["a"], "where": where}, stream(one)).passed_over == 1


def test_key_serves_as_entity() -> None:
    assert decode(
        {"features": ["a"], "entity": "$key"}, stream(batch(a=pa.array([1.0] * 2))), key=b"h"
    ).rows.entities == [
        "h",
        "h",
    ]


def test_a_stream_without_rows_is_passed_over() -> None:
    empty = batch(a=pa.array([], pa.float64()))
    decoded = decode({"features": ["a"]}, stream(empty), stream(schema=empty.schema), stream(empty, empty), None)
    assert (len(decoded.rows), decoded.passed_over, decoded.rejects) == (0, 4, [])


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 100, -100, -60])
def test_a_stream_cut_short_is_undecodable_as_a_whole(cut: int) -> None:
    one = batch(a=pa.array(np.arange(50.0)))
    decoded = decode({"features": ["a"]}, stream(one, one)[:cut])
    assert decoded.rejects[0].rows == ()
    assert decoded.rejects[0].reasons == (RejectReason.UNDECODABLE,)


def test_too_many_rows_reject_the_record() -> None:
    config = {"features": ["a"], "limits": {"rows": 3}}
    two = batch(a=pa.array([1.0, 2.0]))
    assert decode(config, stream(two, two)).rejects[0].reasons == (RejectReason.TOO_MANY_ROWS,)
    assert decode(config, stream(batch(a=pa.nulls(1_000_000)))).rejects[0].reasons == (RejectReason.TOO_MANY_ROWS,)
    many = pa.DictionaryArray.from_arrays(pa.array([0]), pa.array(list("abcd")))
    assert decode(config, stream(batch(a=many))).rejects[0].reasons == (RejectReason.TOO_MANY_ROWS,)


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_streams_are_read_and_bombs_are_not(codec: str) -> None:
    one = batch(a=pa.array(np.arange(1000.0)), e=pa.array(["host"] * 1000).dictionary_encode())
    packed = stream(one, compression=codec)
    assert len(decode({"features": ["a"], "entity": "e"}, packed).rows) == 1000
    zeros = stream(batch(a=pa.array(np.zeros(100_000))), compression=codec)
    config = {"features": ["a"], "limits": {"record_bytes": 20_000}}
    assert len(zeros) <= 20_000
    assert decode(config, zeros).rejects[0].reasons == (RejectReason.TOO_LARGE,)
    at = zeros.index(struct.pack("<q", 800_000))
    lying = zeros[:at] + struct.pack("<q", 1 << 50) + zeros[at + 8 :]
    assert claims(lying).unpacked >= 1 << 50
    assert decode({"features": ["a"]}, lying).rejects[0].reasons == (RejectReason.TOO_LARGE,)


def test_claims_are_what_the_stream_holds() -> None:
    hosts = pa.array(["a", "b", "c", "a"]).dictionary_encode()
    stated = claims(stream(batch(a=pa.array([1.0] * 4), e=hosts), batch(a=pa.array([1.0] * 4), e=hosts)))
    assert (stated.rows, stated.dictionary, stated.unpacked) == (8, 3, 0)
    with pytest.raises(MalformedError):
        claims(b"ARROW1 no stream")


def growing_dictionary(steps: int, long: str) -> bytes:
    """Make a stream whose dictionary grows by one text with each batch of one row."""
    out = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    texts = [long + str(n) for n in range(steps)]
    arrays = [pa.DictionaryArray.from_arrays(pa.array([n]), pa.array(texts[: n + 1])) for n in range(steps)]
    with pa.ipc.new_stream(out, batch(a=pa.array([1.0]), e=arrays[0]).schema, options=options) as writer:
        for array in arrays:
            writer.write_batch(batch(a=pa.array([1.0]), e=array))
    return bytes(out.getvalue().to_pybytes())


def test_a_dictionary_may_grow_but_not_without_bounds() -> None:
    config = {"features": ["a"], "entity": "e", "limits": {"record_bytes": "1MB"}}
    decoded = decode(config, growing_dictionary(20, "x"))
    assert decoded.rows.entities == [f"x{n}" for n in range(20)]
    bomb = growing_dictionary(200, "x" * 4000)
    assert len(bomb) < 1_000_000
    assert decode(config, bomb).rejects[0].reasons == (RejectReason.TOO_LARGE,)


@pytest.mark.parametrize("kind", [pa.string(), pa.string_view(), pa.int64()])
def test_a_dictionary_larger_than_its_batch_is_read_where_it_is_used(kind: Any) -> None:
    values = pa.array([str(n) for n in range(100)]).cast(kind) if kind != pa.int64() else pa.array(range(100))
    array = pa.DictionaryArray.from_arrays(pa.array([7, None, 3, 7]), values)
    config = {"features": ["a"], "entity": "e"}
    decoded = decode(config, stream(batch(a=pa.array([1.0] * 4), e=array)))
    assert decoded.rows.entities == ["7", "3", "7"]
    assert decoded.rejects[0].rows == (1,)
    where = {"e": 7 if kind == pa.int64() else "7"}
    assert decode({"features": ["a"], "where": where}, stream(batch(a=pa.array([1.0] * 4), e=array))).passed_over == 2


def test_views_that_share_their_bytes_cannot_fill_the_memory() -> None:
    long = 1 << 20
    view = struct.pack("<i4sii", long, b"xxxx", 0, 0)
    views = pa.Array.from_buffers(
        pa.string_view(), 20_000, [None, pa.py_buffer(view * 20_000), pa.py_buffer(b"x" * long)]
    )
    config = {"features": ["a"], "entity": "e", "timestamp": {"path": "e", "unit": "rfc3339"}}
    decoded = decode(config, stream(batch(a=pa.array(np.ones(20_000)), e=views)))
    assert len(decoded.rejects[0].rows) == 20_000


def test_an_array_of_events_has_no_place_in_arrow() -> None:
    with pytest.raises(ValidationError, match=r"events\.events"):
        Events.model_validate({"format": "arrow", "features": ["a"], "events": "x"})
