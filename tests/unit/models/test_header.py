"""The header of a checkpoint."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detector.errors import StoreDamagedError
from detector.models.absence_state import Absent, State
from detector.models.budget import Running
from detector.models.header import Header, float64
from detector.models.incident_state import Ending, Facts
from detector.types import Reason

HEADER = Header(
    detection={"model": {"centroids": 4, "half_life": {"events": 200_000.0, "time": None}}},
    model_version=3,
    time=1_700_000_000.1234567,
    applied=2,
    number=77,
    rows=np.arange(6, dtype="<f4").tobytes(),
    entities=["a", "", "ü"],
    placed=b"\x01\x00\x01",
    smoothed=np.linspace(2, 3, 3).tobytes(),
    faulty=b"\x00\x01\x00",
    over=b"\x00\x00\x01",
    incidents=["a", "ü"],
    ending=[
        Ending(
            Facts(
                "b", (7, 1), 2, 1.5, 1e-9, capped=True, critical=False, count=3, shares=[0.25, 0.75], labels={"r": "1"}
            ),
            Reason.NO_DATA,
        )
    ],
    reference=np.linspace(0, 1, 7).tobytes(),
    gate_reference=np.linspace(1, 2, 7).tobytes(),
    marks=np.array([5.0, np.inf, 7.0]).tobytes(),
    beset=0.25,
    budget=Running(5.0, 10.0, 100.0, 2.5, 1.5, 2, 1, 7, 3, 1e-4),
    kept=64,
    labels={"ü": {"site": "ams"}},
    absence=State([Absent((7, 1), 9.0, 2.5, 2, False, {"a": None, "ü": None})], [], 9.0, 8.0, math.inf),  # noqa: FBT003
    learning={"b*": "freeze", "a": "default"},
)


@pytest.mark.parametrize("time", [None, 0.0, 1_700_000_000.1234567])
def test_what_is_encoded_is_read_back(time: float | None) -> None:
    header = Header(**{name: getattr(HEADER, name) for name in HEADER.__struct_fields__} | {"time": time})
    assert Header.decode(header.encode()) == header


@pytest.mark.parametrize("raw", [b"", b"\xc1", HEADER.encode()[:-1], b"\x80", b"[]"])
def test_anything_else_is_said_to_be_damaged(raw: bytes) -> None:
    with pytest.raises(StoreDamagedError, match="header"):
        Header.decode(raw)


def test_arrays_come_back_writable() -> None:
    array = float64(HEADER.reference)
    array[0] = 5.0
    assert array[1:].tobytes() == np.linspace(0, 1, 7)[1:].tobytes()
