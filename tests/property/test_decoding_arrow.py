from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from detector.config.sections import Events
from detector.decoding import build
from tests.support.decoding import STAMP, fuzz


def stream(batch: Any, number: int, compression: str | None) -> bytes:
    out = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(out, batch.schema, options=options) as writer:
        for _ in range(number):
            writer.write_batch(batch)
    return bytes(out.getvalue().to_pybytes())


def samples() -> list[bytes]:
    hosts = pa.array(["web-1", "web-2", None, "wéb-3"] * 4)
    inner = pa.StructArray.from_arrays([pa.array(np.arange(16.0)), hosts], names=["b", "s"])
    simple = pa.record_batch({"a": pa.array(np.arange(16), pa.float32())})
    times = pa.array([STAMP] * 16).cast(pa.timestamp("ms", "UTC"))
    a = pa.array([1, None, 3, 4] * 4)
    rich = pa.record_batch({"a": a, "m": inner, "e": hosts.dictionary_encode(), "t": times})
    views = pa.record_batch(
        {"a": a.dictionary_encode(), "e": hosts.cast(pa.string_view()), "t": times, "x": pa.nulls(16)}
    )
    return [
        stream(simple, 1, None),
        stream(rich, 1, None),
        stream(rich, 2, "zstd"),
        stream(rich, 1, "lz4"),
        stream(views, 1, None),
    ]


def test_a_hundred_thousand_mutated_streams_never_raise() -> None:
    config = {"format": "arrow", "features": ["a", "m.b"], "entity": "e", "timestamp": {"path": "t", "unit": "ms"}}
    total = fuzz(build(Events.model_validate(config)), samples(), 100_000, seed=2)
    assert total["rows"] > 10_000
    assert total["rejected"] > 1_000
    assert total["records"] > 10_000
