"""The shipped alert rules for a test that cannot wait for hours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.support.prometheus import RULES

SHORTER = {
    "DetectorHung": ("> 60", "> 3"),
    "DetectorLagGrowing": ("> 10000", "> 1000"),
    "DetectorCheckpointOld": ("> 300", "> 4"),
    "DetectorOutboxOld": ("> 600", "> 3"),
    "DetectorPartitionIdle": ("> 1800", "> 3"),
    "DetectorRefitsRefused": (">= 3", ">= 1"),
}
"""What takes long to come about: seconds, a number of records, and one of refits."""
WINDOWS = {"[5m]": "[10s]", "[15m]": "[10s]", "[1d]": "[20s]"}


def shipped() -> dict[str, Any]:
    """Return the file of rules as it is shipped."""
    rules: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return rules


def alerts() -> set[str]:
    """Return the names of all alerts."""
    return {rule["alert"] for group in shipped()["groups"] for rule in group["rules"] if "alert" in rule}


def hurried(file: Path, *, room: float) -> Path:
    """Write the rules to a file as they are, but in a hurry; returns the file.

    They fire at once (no `for`); windows are WINDOWS; some thresholds are SHORTER; and the disk counts as nearly full
    under the share `room`, as no test fills a disk to nine tenths.
    """
    rules = shipped()
    shorter = {**SHORTER, "DetectorDiskNearlyFull": ("< 0.1", f"< {room}")}
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        rule.pop("for", None)
        for long, short in WINDOWS.items():
            rule["expr"] = rule["expr"].replace(long, short)
        if (threshold := shorter.pop(rule.get("alert", ""), None)) is not None:
            assert threshold[0] in rule["expr"], f"{rule['alert']} has another threshold now"
            rule["expr"] = rule["expr"].replace(*threshold)
    assert not shorter, f"there are no such rules any more: {shorter}"
    file.write_text(yaml.safe_dump(rules), encoding="utf-8")
    return file
