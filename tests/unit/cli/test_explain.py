"""Why an event paged, and why not: the commands that read the store's files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from detector.cli.main import app
from detector.errors import CommandError
from detector.said_of import SaidOf
from detector.store import fates, incidents
from detector.store.notification import NotificationFile
from detector.store.sqlite import SqliteStore
from detector.types import KnownIncident, Phase, Severity
from tests.support.scene import EPOCH, FAULT, PARTITION, Scene, write


class Explained:
    """A store in which a fault of host a was detected, notified of, and called normal; and what the commands say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("detector.models.upkeep._EVERY", 8)
            patch.setattr("detector.models.judging._GATE_ROWS", 100.0)
            patch.setattr("detector.models.judging._GATED", 0.01)
            self.scene = Scene(SqliteStore(folder, keep_rejects=10))
            self.scene.go_on(1, FAULT, "b")
            self.first = self.scene.log.end(PARTITION)
            (self.alert,) = self.scene.go_on(20, FAULT, "a")
            self.scene.log.append(PARTITION, b"{", timestamp=1000 * EPOCH)
            self.rejected = self.scene.log.end(PARTITION) - 1
            self.scene.go_on(60)
            self._notify()
            said = SaidOf(folder, lambda _: None)
            self.scene.feedback._heard = said.heard
            self.given = self.scene.give(self.incident, comment="the nightly job")
            self.scene.go_on(60)
            self.approved = self.scene.log.end(PARTITION) + 10
            self.scene.go_on(20, FAULT, "a")
            self.scene.member.checkpoint()

    @property
    def incident(self) -> str:
        found: str = self.alert["incident"]["id"]
        return found

    def _notify(self) -> None:
        """Do what the intake does with an alert, and the notifier."""
        file = NotificationFile(self.folder, keep_given_up=10)
        alert = self.scene.last[self.incident]
        known = KnownIncident(
            id=self.incident,
            sequence=2,
            kind="anomaly",
            phase=Phase(alert["phase"]),
            reason=None,
            severity=Severity(alert["severity"]),
            partition=PARTITION,
            entity="a",
            start=alert["incident"]["start_epoch"],
            time=alert["epoch"],
            peak=alert["incident"]["peak_score"],
            shares={},
            body=json.dumps(alert).encode(),
            sinks=("stdout",),
        )
        with file.connect().writing() as sqlite:
            incidents.take_in(sqlite, known)
            fates.write(sqlite, fates.Fate(self.incident, "pager", 1, fates.What.SILENCED, "silence 7", 1e9))
        file.close()

    def ask(self, *words: str) -> Result:
        """Return what a command says of this store."""
        return CliRunner().invoke(app, [*words, "--store", str(self.folder)])

    def told(self, *words: str) -> Any:
        """Return what a command says to programs."""
        done = self.ask(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    def event(self, offset: int) -> dict[str, Any]:
        """Return what is told of the one event of a record."""
        (event,) = self.told("explain", f"readings/3/{offset}")["events"]
        assert isinstance(event, dict)
        return event


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explained]:
    explained = Explained(tmp_path_factory.mktemp("explained") / "store")
    with explained.scene.member:
        yield explained


def test_an_event_that_opened_an_incident_tells_who_was_told_and_what_was_said(explained: Explained) -> None:
    event = explained.event(explained.alert["offset"])
    assert (event["outcome"], event["entity"], event["incident"]) == ("opened", "a", explained.incident)
    assert (event["learning"], event["score"] > event["threshold"]) == ("quarantined", True)
    blamed = max(event["features"], key=lambda feature: feature["share"])
    assert (blamed["name"], round(blamed["observed"], -1), round(blamed["expected"], -1)) == ("f1", 90, 50)
    assert sum(feature["share"] for feature in event["features"]) == pytest.approx(1.0)
    (fate,) = event["notification"]["sinks"]
    assert (fate["sink"], fate["what"], fate["by"]) == ("pager", "silenced", "silence 7")
    assert event["notification"]["direct_sinks"] == ["stdout"]
    assert event["notification"]["verdict"]["verdict"] == "normal"


def test_why_not_is_told_of_each_other_kind(explained: Explained) -> None:
    assert explained.event(explained.first - 1)["outcome"] == "below_open_after"
    assert explained.event(explained.alert["offset"] + 2)["outcome"] == "within_incident"
    approved = explained.event(explained.approved)
    assert (approved["outcome"], approved["spared_by"]) == ("approved", explained.given["id"])
    assert approved["score"] < 2 < approved["alone"]
    rejected = explained.told("explain", f"readings/3/{explained.rejected}")
    assert rejected["rejected"] == [{"row": None, "reason": "undecodable"}]


def test_an_event_is_told_as_people_read_it(explained: Explained) -> None:
    said = explained.ask("explain", f"readings/3/{explained.alert['offset']}/0").output
    for part in (
        "event      readings/3/",
        "row 0 of a",
        "outcome    opened: it opened an incident",
        "threshold 3.0",
        "silenced   pager by silence 7",
        "feedback   normal, by ada",
        "the nightly job",
        "↑ rise",
    ):
        assert part in said
    assert said.index("f1") < said.index("f0"), "what is to blame comes first"


@pytest.mark.parametrize(
    ("place", "why", "code"),
    [
        ("readings/3", "expected TOPIC/PARTITION/OFFSET", 2),
        ("readings/3/99999999999999999999", "expected TOPIC/PARTITION/OFFSET", 2),
        ("readings/4/7", "holds no store of readings/4", 3),
        ("readings/3/99999999", "not read yet, or since the last checkpoint", 2),
        ("readings/3/5", "no event of it is kept: its score was under 2", 2),
    ],
)
def test_of_what_is_not_known_the_reason_is_told(explained: Explained, place: str, why: str, code: int) -> None:
    done = explained.ask("explain", place)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        assert (why in str(done.exception), getattr(done.exception, "exit_code", 0)) == (True, code)
    else:
        assert (why in done.output, done.exit_code) == (True, code)


def test_incidents_are_listed_and_shown(explained: Explained) -> None:
    (listed,) = explained.told("incidents", "list")["incidents"]
    assert (listed["id"], listed["phase"]) == (explained.incident, "resolve")
    assert explained.incident[:12] in explained.ask("incidents", "list").output
    assert explained.ask("incidents", "list", "--open").output == "no incident is open\n"
    shown = explained.ask("incidents", "show", explained.incident[:8]).output
    for part in (f"{explained.incident}, over, recovered", "a in readings/3", "normal, by ada", "stdout, each message"):
        assert part in shown
    assert "in the incident" in shown
    f1 = next(line for line in shown.splitlines() if line.startswith("f1"))
    assert f1.split()[-5:] == ["100", "%", *f1.split()[-3:]] or "rise" in f1
    for given, why in (("0123456789", "no incident is known whose id begins so"), ("0", "at least its first 4 digits")):
        with pytest.raises(CommandError, match=why):
            raise explained.ask("incidents", "show", given).exception or AssertionError


def test_what_was_said_is_listed(explained: Explained) -> None:
    (said,) = explained.told("feedback", "list")["feedback"]
    assert (said["id"], said["state"], said["by"], said["comment"]) == (
        explained.given["id"],
        "in force",
        "ada",
        "the nightly job",
    )
    assert "normal of a in readings/3, until 20" in explained.ask("feedback", "list").output


def test_the_store_keeps_as_many_events_as_asked_for(tmp_path: Path) -> None:
    scene = Scene(SqliteStore(tmp_path / "store", keep_rejects=10, keep_events=5), quiet=1500)
    with scene.member:
        scene.member.checkpoint()
        for _ in range(3):
            write(scene.log, 300)
            scene.member.read(PARTITION)
            scene.member.checkpoint()
    done = CliRunner().invoke(app, ["explain", "readings/3/5", "--store", str(tmp_path / "store")])
    kept = str(done.exception).split("those of offsets ")[1].split(" to ")
    assert int(kept[0].replace(",", "")) > 2000, "the oldest have left"
