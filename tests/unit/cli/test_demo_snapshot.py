from dataclasses import replace
from datetime import UTC

import msgspec
import pytest

from detector.alerts.body import encode
from detector.cli.demo_snapshot import Finding, Subject, quantity, received, top_features
from detector.types import Alert, FeatureShare, Incident, Partition, Phase, Position, Reason, Severity
from detector.types import Finding as RowFinding

ALERT = Alert(
    id=f"{'0' * 32}-1",
    kind="anomaly",
    phase=Phase.OPEN,
    reason=None,
    severity=Severity.CRITICAL,
    partition=Partition("computer", 0),
    position=Position(7, 1),
    entity="cpu0",
    time=1_795_422_884.5,
    incident=Incident("0" * 32, 1, 1_795_422_884.5, 0.0, 4.0, False, 1, (0.9, 0.1)),  # noqa: FBT003
    finding=RowFinding(
        since=None,
        score=4.0,
        at_least=False,
        distance=9.0,
        threshold=3.0,
        model_version=1,
        block=3,
        centroid=2,
        features=(FeatureShare("user", 97.0, 12.0, 0.9), FeatureShare("swap", None, 0.5, 0.1)),
    ),
    names=("user", "swap"),
    sources=("user", "swap"),
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (97.0, "%", "97 %"),
        (3.14159, "%", "3.14 %"),
        (0.31, "", "0.31"),
        (0.0, "B/s", "0 B/s"),
        (999.0, "B/s", "999 B/s"),
        (1000.0, "B/s", "1 kB/s"),
        (1_234_567.0, "B/s", "1.23 MB/s"),
        (999_700.0, "B/s", "1 MB/s"),
        (99_940.0, "B/s", "99.9 kB/s"),
        (-2_500.0, "B/s", "-2.5 kB/s"),
        (3e15, "B/s", "3,000 TB/s"),
        (12.0, "1/s", "12/s"),
        (5321.0, "1/s", "5.32k/s"),
        (1234.0, "ms", "1,234 ms"),
        (0.00012, "1/s", "1.2e-04/s"),
        (None, "%", "missing"),
    ],
)
def test_a_quantity_has_three_digits_and_its_unit(value: float | None, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_what_is_received_is_what_was_sent() -> None:
    finding = received(msgspec.json.decode(encode(ALERT)))
    assert ALERT.finding is not None
    assert finding == Finding(
        ALERT.time,
        "cpu0",
        4.0,
        at_least=False,
        features=ALERT.finding.features,
        severity="critical",
        incident="0" * 32,
        start=ALERT.time,
        what="user 97 (expected 12), 90 % of the distance; 1 in 10,000",
    )


def test_the_end_of_an_incident_is_told_without_a_row_of_its_own() -> None:
    incident = replace(ALERT.incident, sequence=2, duration=30.0)
    ended = replace(ALERT, phase=Phase.RESOLVE, reason=Reason.NO_DATA, finding=None, incident=incident)
    finding = received(msgspec.json.decode(encode(ended)))
    assert (finding.phase, finding.score, finding.features) == ("resolve", 4.0, ())
    told = Subject("demo", {}).told(finding, 2)
    assert told.startswith("resolved after 30 s, as it sends nothing any more; 1 anomalous event, mostly user")


def test_an_alert_without_an_entity_goes_by_its_partition() -> None:
    body = msgspec.json.decode(encode(replace(ALERT, entity=None)))
    assert received(body).entity == "computer/0"


def test_features_that_hardly_count_are_left_out_but_never_all_of_them() -> None:
    shares = {"a": 0.04, "b": 0.9, "c": 0.06}
    finding = Finding(
        0.0, "x", 4.0, at_least=False, features=tuple(FeatureShare(n, 1, 1, s) for n, s in shares.items())
    )
    assert [f.name for f in top_features(finding, 4)] == ["b", "c"]
    assert [f.name for f in top_features(finding, 1)] == ["b"]
    many = Finding(0.0, "x", 4.0, at_least=False, features=tuple(FeatureShare(str(n), 1, 1, 0.01) for n in range(100)))
    assert len(top_features(many, 4)) == 1


def test_reasons_read_as_observed_and_expected_with_units() -> None:
    subject = Subject("demo", {"user": "%", "swap": "%"}, zone=UTC)
    finding = received(msgspec.json.decode(encode(ALERT)))
    assert subject.reasons(finding, 2) == "user 97 % (expected 12 %), swap missing (expected 0.5 %)"
    assert subject.when(ALERT.time) == "08:34:44"
