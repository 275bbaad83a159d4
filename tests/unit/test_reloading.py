from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from detector.config.detection import Detection
from detector.config.sections import Config
from detector.errors import ConfigError, SinkError, StoreFullError
from detector.protocols import Prepared
from detector.reloading import Reader, Reloading
from detector.types import Partition

SMALLEST = {"source": {"kind": "computer"}, "events": {"features": ["a"]}}
PARTITION = Partition("computer", 0)


def config(**sections: Any) -> Config:
    return Config.model_validate(SMALLEST | sections)


class Daemon:
    """Writes down what is done to it, in order."""

    def __init__(self, read: Callable[[], Config]) -> None:
        self.done: list[str] = []
        self.detection = Detection.of(config())
        self.full = False
        self.refused = False
        self.asked = False
        reader = Reader(read, self.take)
        self.reloading = Reloading(config(), reader, self.reconfigure, [self.one, self.other], self)

    def take(self) -> bool:
        asked, self.asked = self.asked, False
        return asked

    def reconfigure(self, detection: Detection) -> dict[Partition, int]:
        if self.full:
            message = "no room"
            raise StoreFullError(message)
        changed, self.detection = detection != self.detection, detection
        self.done += ["detection"] * changed
        return {PARTITION: 12} if changed else {}

    def one(self, _: Config) -> Prepared:
        self.done.append("one ready")
        return Prepared(lambda: self.done.append("one"), lambda: self.done.append("one discarded"), ["sinks.a.secrets"])

    def other(self, _: Config) -> Prepared:
        if self.refused:
            message = "sinks.b: cannot be built"
            raise SinkError(message)
        return Prepared(lambda: self.done.append("other"))

    def reloaded(self, *, successful: bool) -> None:
        self.done.append("well" if successful else "failed")


def test_all_is_made_ready_then_detection_is_told_then_everything_changes() -> None:
    changed = config(log={"level": "debug"}, alerting={"critical_decades": 3})
    daemon = Daemon(lambda: changed)
    with capture_logs() as said:
        told = daemon.reloading.answer({})
    assert daemon.done == ["one ready", "detection", "one", "other", "well"]
    assert told == {
        "at_once": ["log.level", "sinks.a.secrets"],
        "at_boundary": ["alerting.critical_decades"],
        "partitions": [{"partition": "computer/0", "at_block": 12}],
    }
    assert daemon.reloading.config is changed
    assert said == [{"event": "reloaded", "log_level": "info", **told}]
    again = daemon.reloading.answer({})
    assert (again["at_boundary"], again["partitions"]) == ([], [])


def test_what_cannot_change_is_all_named_with_why_and_then_nothing_changes() -> None:
    daemon = Daemon(lambda: config(log={"level": "debug"}, store={"path": "/elsewhere"}, http={"port": 1}))
    with pytest.raises(ConfigError) as refused:
        daemon.reloading.answer({})
    lines = str(refused.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["store.path", "http.port"]
    assert all("cannot change while the daemon runs: " in line for line in lines)
    assert daemon.done == ["failed"]
    assert daemon.reloading.config == config()


def test_a_file_that_is_wrong_changes_nothing() -> None:
    def read() -> Config:
        message = "c.yaml:1: wrong"
        raise ConfigError(message)

    daemon = Daemon(read)
    with capture_logs() as said, pytest.raises(ConfigError, match="wrong"):
        daemon.reloading.answer({})
    assert daemon.done == ["failed"]
    assert [(line["event"], line["log_level"], line["why"]) for line in said] == [
        ("reload_failed", "warning", "c.yaml:1: wrong")
    ]


def test_what_was_made_ready_is_discarded_where_another_part_or_detection_refuses() -> None:
    daemon = Daemon(lambda: config(alerting={"critical_decades": 3}))
    daemon.refused = True
    with pytest.raises(SinkError):
        daemon.reloading.answer({})
    daemon.refused, daemon.full = False, True
    with pytest.raises(StoreFullError):
        daemon.reloading.answer({})
    assert daemon.done == ["one ready", "one discarded", "failed"] * 2
    assert daemon.reloading.config == config()


def test_a_signal_asks_once_and_an_error_ends_nothing() -> None:
    daemon = Daemon(lambda: config(store={"path": "/elsewhere"}))
    daemon.reloading.turn()
    assert daemon.done == []
    daemon.asked = True
    daemon.reloading.turn()
    daemon.reloading.turn()
    assert daemon.done == ["failed"]
