"""Reload and silences in a whole daemon: what receivers got against what they must have got."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from detector.app import daemon
from detector.config.sections import Config
from detector.control.asking import ask_one
from detector.control.wire import Answer as Answered
from detector.reloading import Reader
from detector.sources.memory import MemoryLog, MemorySource
from detector.store.notification import NotificationFile
from tests.support.alerts import TurnedClock
from tests.support.daemon import PATIENCE, Daemon
from tests.support.member import document, event
from tests.support.receiver import LOOPBACK, Answer, Receiver
from tests.unit.test_app import EPOCH, LINES, PARTITION, configuration, lines, scrape

OPEN_AT_THE_END = 1_005
"""Lines after which an incident of the entity `a` is open."""


def webhook(name: str, receiver: Receiver, **given: Any) -> dict[str, Any]:
    return {"kind": "webhook", "name": name, "url": receiver.url, "allow_networks": LOOPBACK, **given}


def test_sinks_exchanged_while_messages_are_in_flight_lose_no_alert_and_send_none_twice(tmp_path: Path) -> None:
    log, written, let_go = MemoryLog(), lines(2 * LINES), threading.Event()
    log.append(PARTITION, *written[:LINES], timestamp=-1)
    source = MemorySource(log)
    source.give(PARTITION)
    asked: list[str] = []

    with Receiver(otherwise=Answer(until=let_go)) as old, Receiver() as new, Receiver() as every:

        def settings(pager: Receiver) -> Config:
            sinks = [webhook("pager", pager, direct=True), webhook("every", every, direct=True)]
            return configuration(tmp_path, sinks=sinks)

        def ask_once() -> bool:
            """Ask for a reload while the first message is under way to the old receiver."""
            if asked or not old.requests:
                return False
            asked.append("reload")
            return True

        def look() -> bool:
            if asked and not let_go.is_set():
                assert len(old.requests) == 1, "it has not been answered yet"
                let_go.set()
                log.append(PARTITION, *written[LINES:], timestamp=-1)
                source.finish()
            return False

        reader = Reader(lambda: settings(new), ask_once)
        with daemon(settings(old), source=source, reader=reader) as built:
            built.service.run(look)
            built.ownership.settle()
            assert built.delivery.drain(60.0)
            samples = scrape(built)
    ids = [request.id for request in every.requests]
    assert len(ids) == len(set(ids)) == samples['alerts_total{state="raised"}'] > 10
    assert [request.id for request in old.requests] == ids[:1]
    assert [request.id for request in new.requests] == ids[1:]
    with closing(NotificationFile(tmp_path / "store", keep_given_up=10)) as file:
        assert file.backlog() == {}
    assert samples["config_last_reload_successful"] == 1


def test_what_is_silenced_reaches_nobody_until_the_silence_is_over(tmp_path: Path) -> None:
    log, clock = MemoryLog(), TurnedClock()
    source = MemorySource(log)
    source.give(PARTITION)
    said: list[Answered | None] = []
    payload = {"matchers": ["entity=a"], "seconds": 3600, "author": "ann", "comment": "it is mended"}
    asking = threading.Thread(
        target=lambda: said.append(ask_one(tmp_path / "store", "silence add", payload, seconds=60.0))
    )
    held_back: list[dict[str, float]] = []

    with Receiver() as receiver:

        def look() -> bool:
            """Turn the clock: the silence is said, then anomalies come, then it is over."""
            clock.turn(0.05)
            if not log.end(PARTITION):
                if said:
                    log.append(PARTITION, *lines(OPEN_AT_THE_END), timestamp=-1)
                elif not asking.is_alive() and built.ownership.owned:
                    asking.start()
            elif not held_back:
                samples = scrape(built)
                if samples.get('alerts_suppressed_total{reason="silenced"}', 0) and built.delivery.drain(30.0):
                    assert receiver.requests == []
                    held_back.append(samples)
                    clock.turn(3600)
            return bool(receiver.requests)

        with daemon(configuration(tmp_path, sinks=[webhook("page", receiver)]), source=source, clock=clock) as built:
            built.service.run(look)
        asking.join(30.0)
        messages = [json.loads(request.body) for request in receiver.requests]
    assert held_back[0]["silences_active"] == 1
    assert held_back[0]['incidents_open{severity="warning"}'] == 1, "it is an incident all the same"
    assert [(each["status"], [told["entity"] for told in each["alerts"]]) for each in messages] == [("firing", ["a"])]
    assert said[0] is not None
    assert said[0].result["silence"]["state"] == "active"


class Fed:
    """A named pipe that a daemon reads as its file of events: written to until `end`."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join(60.0)

    def _write(self) -> None:
        written = lines(LINES)
        last = document(event("a", 1.0, 20.0, 300.0, ts=EPOCH + LINES, kind="load")) + b"\n"
        with suppress(BrokenPipeError), self._path.open("wb") as pipe:  # a daemon that was killed
            pipe.write(b"".join(line + b"\n" for line in written))
            while not self._over.is_set():  # what fills a batch, so that the loop goes on turning
                pipe.write(last * 1000)


def test_a_process_that_takes_other_sinks_at_sighup_loses_no_alert_and_sends_none_twice(tmp_path: Path) -> None:
    let_go = threading.Event()
    with Receiver(otherwise=Answer(until=let_go)) as old, Receiver() as new:
        every = {"kind": "stdout", "direct": True}
        daemon = Daemon(tmp_path, {}, {"sinks": [every, webhook("pager", old, direct=True)]})
        settings = configuration(tmp_path, source={"kind": "file", "path": tmp_path / "events.fifo"})
        same = ("source", "events", "blocks", "entities", "model", "alerting", "incidents")
        daemon.replace({name: getattr(settings, name).model_dump(mode="json", exclude_none=True) for name in same})
        fed = Fed(tmp_path / "events.fifo")
        try:
            daemon.start()
            old.wait_for_count(1, seconds=PATIENCE)
            daemon.configure({"sinks": [every, webhook("pager", new, direct=True)]})
            daemon.send(signal.SIGHUP)
            assert daemon.until_said("reloaded")["at_once"] == ["sinks.pager.url"]
            assert len(old.requests) == 1, "it has not been answered yet"
            let_go.set()
            daemon.until(lambda: len(new.requests) >= len(daemon.output) - 1 > 0, "the new receiver had the rest")
            fed.end()
            assert daemon.wait() == 0
        finally:
            daemon.kill()
            fed.end()
    ids = [json.loads(line)["id"] for line in daemon.output]
    assert len(ids) == len(set(ids)) > 5
    assert [request.id for request in (*old.requests, *new.requests)] == ids
