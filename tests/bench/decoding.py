"""Decoding alone: each format beside the barest loop over its own library. Prints medians and ratios.

Run: python tests/bench/decoding.py [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import fastavro
import msgspec
import numpy as np
import pyarrow as pa

from detector.config.sections import Events
from detector.decoding import build
from detector.decoding.avro import AvroDecoder
from detector.decoding.plan import compile_plan
from detector.decoding.schemas import Named, Schema, check, parse
from detector.types import PlainRecord

NOW = 1_795_413_922_000
FEATURES = [f"f{n}" for n in range(16)]
CONFIG: dict[str, Any] = {"features": FEATURES, "entity": "host", "timestamp": {"path": "ts"}}
EVENTS = 8_192
ARROW_RECORDS, ARROW_ROWS = 50, 1_000
REPEATS = 9

Bench = tuple[int, Callable[[], object], Callable[[], object]]


def events(number: int) -> list[dict[str, Any]]:
    values = np.random.default_rng(0).normal(size=(number, 16)).round(4).tolist()
    return [
        {"host": f"h{n % 1000}", "ts": NOW + n, **dict(zip(FEATURES, row, strict=True))} for n, row in enumerate(values)
    ]


def records(values: list[bytes]) -> list[PlainRecord]:
    return [PlainRecord(offset, NOW, None, value) for offset, value in enumerate(values)]


def json_bench() -> Bench:
    values = [json.dumps(event, separators=(",", ":")).encode() for event in events(EVENTS)]
    given = records(values)
    decoder = build(Events.model_validate(CONFIG))
    fields = [(name, float | None, None) for name in [*FEATURES, "ts"]]
    event = msgspec.defstruct("Event", [*fields, ("host", str | None, None)], gc=False)
    parse_event = msgspec.json.Decoder(event).decode
    numbers = attrgetter(*FEATURES, "ts")

    def bare() -> object:
        return np.array([numbers(parse_event(value)) for value in values], dtype=np.float64)

    return EVENTS, bare, lambda: decoder.decode(given)


def arrow_bench() -> Bench:
    values = np.random.default_rng(0).normal(size=(16, ARROW_ROWS)).astype(np.float32)
    batch = pa.record_batch(
        {
            **dict(zip(FEATURES, values, strict=True)),
            "ts": pa.array(np.arange(NOW, NOW + ARROW_ROWS)),
            "host": pa.array([f"h{n % 50}" for n in range(ARROW_ROWS)]).dictionary_encode(),
        }
    )
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)
    given = records([out.getvalue().to_pybytes()] * ARROW_RECORDS)
    decoder = build(Events.model_validate({**CONFIG, "format": "arrow"}))

    def bare() -> object:
        found = []
        for record in given:
            with pa.ipc.open_stream(pa.py_buffer(record.value)) as reader:
                read = reader.read_next_batch()
            found.append(np.stack([read.column(n).to_numpy() for n in range(16)], axis=1))
        return np.concatenate(found)

    return ARROW_RECORDS * ARROW_ROWS, bare, lambda: decoder.decode(given)


def avro_bench() -> Bench:
    fields: list[dict[str, Any]] = [{"name": name, "type": ["null", "double"]} for name in FEATURES]
    fields += [{"name": "ts", "type": "long"}, {"name": "host", "type": "string"}]
    named: Named = {}
    schema = parse(json.dumps({"type": "record", "name": "Event", "fields": fields}), named)
    check(schema, named)
    values = []
    for event in events(EVENTS):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, event)
        values.append(b"\0\0\0\0\1" + out.getvalue())
    given = records(values)

    class One:
        def schema(self, _number: int) -> Schema:
            return schema

    decoder = AvroDecoder(compile_plan(Events.model_validate(CONFIG)), One())

    def bare() -> object:
        read: list[Any] = [fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None) for value in values]
        return np.array([[event[name] for name in FEATURES] for event in read])

    return EVENTS, bare, lambda: decoder.decode(given)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true", help="print one JSON object on the last line")
    as_json = arguments.parse_args().json
    result: dict[str, float] = {}
    for name, make in (("json", json_bench), ("arrow", arrow_bench), ("avro", avro_bench)):
        rows, bare, decode = make()
        pairs = [(seconds(bare), seconds(decode)) for _ in range(REPEATS)]
        for key, taken in zip(("bare", "decoder"), zip(*pairs, strict=True), strict=True):
            result[f"{name}_{key}"] = round(rows / statistics.median(taken))
        result[f"{name}_ratio"] = round(result[f"{name}_decoder"] / result[f"{name}_bare"], 3)
        bare_rate, decoder_rate, ratio = (result[f"{name}_{key}"] for key in ("bare", "decoder", "ratio"))
        print(f"{name:5}  bare loop {bare_rate:>12,} rows/s   decoder {decoder_rate:>12,} rows/s   ratio {ratio:.2f}")
    if as_json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
