from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detector.cli.incident_view import finding
from detector.errors import StoreError
from detector.store.sqlite import SqliteStore
from detector.store.told import findings
from detector.types import ControlKind, ControlRecord, Partition

PARTITIONS = Partition("metrics", 0), Partition("metrics", 1)


def found(time: float, entity: str | None = "web\x1b[31m", **values: float | None) -> dict[str, Any]:
    return {"severity": "info", "entity": entity, "time": time, "score": 5.25, "distance": 9.0, "values": values}


def keep(path: Path, partition: Partition, *refits: list[dict[str, Any]]) -> None:
    opened = SqliteStore(path, keep_rejects=1).open(partition)
    for number, each in enumerate(refits, 1):
        payload = {"candidate": number, "at": 1000.0 * number, "findings": each}
        opened.add_control(ControlRecord(number, ControlKind.CANDIDATE, payload))
        opened.add_control(ControlRecord(number, ControlKind.DECISION, {"candidate": number}))
    opened.close()


def test_findings_of_all_partitions_come_once_the_newest_first(tmp_path: Path) -> None:
    early, late, other = found(10.0, cpu=1.0), found(30.0, cpu=2.0), found(20.0, None, cpu=None)
    keep(tmp_path, PARTITIONS[0], [early], [early, late], [])
    keep(tmp_path, PARTITIONS[1], [other])
    told = findings(tmp_path, 10)
    assert [(each["partition"], each["time"], each["candidate"]) for each in told] == [
        ("metrics/0", 30.0, 2),
        ("metrics/1", 20.0, 1),
        ("metrics/0", 10.0, 2),
    ]
    assert told[0] == {"partition": "metrics/0", **late, "candidate": 2, "at": 2000.0}
    assert findings(tmp_path, 1) == told[:1]


def test_a_finding_is_a_line_without_control_characters(tmp_path: Path) -> None:
    many: dict[str, Any] = {f"f{n}": float(n) for n in range(9)}
    keep(tmp_path, PARTITIONS[0], [found(30.0, **many), found(20.0, None, cpu=None)])
    one, other = map(finding, findings(tmp_path, 10))
    assert one.startswith("info  1970-01-01T00:00:30+00:00  web\\x1b[31m: score 5.2; f0 0, f1 1, ")
    assert one.endswith(", f7 7, ...")
    assert other == "info  1970-01-01T00:00:20+00:00  metrics/0: score 5.2; cpu missing"


def test_where_there_is_no_store_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        findings(tmp_path / "nowhere", 10)
