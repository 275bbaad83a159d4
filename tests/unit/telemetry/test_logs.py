from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from detector.config.secrecy import MASK
from detector.config.sections import Log
from detector.telemetry.logs import OncePerPlace, Rarely, configure


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _the_log_is_left_as_it_was() -> Iterator[None]:
    root, detector = logging.getLogger(), logging.getLogger("detector")
    handlers, levels = root.handlers, (root.level, detector.level)
    yield
    root.handlers = handlers
    root.setLevel(levels[0])
    detector.setLevel(levels[1])
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_time_level_and_facts() -> None:
    stream = io.StringIO()
    configure(Log(), stream)
    structlog.get_logger("detector.x").info("checkpoint written", bytes=5)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"message": "checkpoint written", "level": "info", "logger": "detector.x", "bytes": 5}


@pytest.mark.parametrize(("level", "written"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_what_is_below_the_level_is_not_written(level: str, written: int) -> None:
    stream = io.StringIO()
    configure(Log.model_validate({"level": level}), stream)
    log = structlog.get_logger("detector.x")
    for say in (log.debug, log.info, log.warning, log.error):
        say("x")
    assert len(lines(stream)) == written


def test_text_for_people_goes_to_a_terminal() -> None:
    stream = Terminal()
    configure(Log(), stream)
    structlog.get_logger("detector.x").info("here", number=5)
    assert not stream.getvalue().startswith("{")
    assert "here" in stream.getvalue()


def test_json_goes_to_a_terminal_where_it_is_asked_for() -> None:
    stream = Terminal()
    configure(Log(format="json"), stream)
    structlog.get_logger("detector.x").info("here")
    assert lines(stream)[0]["message"] == "here"


@pytest.mark.parametrize("format_", ["json", "console"])
def test_secrets_are_masked_at_any_depth(format_: str) -> None:
    stream = io.StringIO()
    configure(Log.model_validate({"format": format_}), stream)
    structlog.get_logger("detector.x").warning(
        "x",
        password="hunter2",
        sasl={"user": "u", "token": "hunter2"},
        headers=[{"Authorization": "hunter2"}],
        key_file="/etc/key",
    )
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count(MASK) == 3
    assert "/etc/key" in stream.getvalue()


def test_an_exception_is_part_of_the_json_without_its_local_variables() -> None:
    stream = io.StringIO()
    configure(Log(), stream)

    def fail() -> None:
        local = "hunter" + "2"
        raise ValueError(len(local))

    try:
        fail()
    except ValueError:
        structlog.get_logger("detector.x").exception("broken")
    (line,) = lines(stream)
    (exception,) = line["exception"]
    assert (exception["exc_type"], exception["exc_value"]) == ("ValueError", "7")
    assert [frame["name"] for frame in exception["frames"]][-1] == "fail"
    assert "hunter2" not in stream.getvalue()


def test_what_a_library_warns_of_is_written_in_the_same_form_once() -> None:
    stream = io.StringIO()
    configure(Log(), stream)
    for number in range(3):
        logging.getLogger("kafka.conn").warning("broker %s away", number)
    logging.getLogger("kafka.conn").info("chatter")
    logging.getLogger("kafka.net.selector").warning("Task ran for 0.137s (>0.100s threshold).")
    (line,) = lines(stream)
    assert (line["message"], line["logger"], line["level"]) == ("broker 0 away", "kafka.conn", "warning")


def test_a_library_may_say_it_again_after_five_minutes() -> None:
    time = [0.0]
    once = OncePerPlace(lambda: time[0])
    record = logging.LogRecord("kafka", logging.WARNING, "f.py", 1, "x", None, None)
    other = logging.LogRecord("kafka", logging.WARNING, "f.py", 2, "x", None, None)
    assert [once.filter(record), once.filter(record), once.filter(other)] == [True, False, True]
    time[0] = 300
    assert once.filter(record)


def test_configuring_twice_writes_each_line_once() -> None:
    stream = io.StringIO()
    configure(Log(), stream)
    configure(Log(), stream)
    structlog.get_logger("detector.x").info("here")
    assert len(lines(stream)) == 1


def test_a_lasting_condition_is_said_ever_more_rarely_and_when_it_ends() -> None:
    time = [0.0]
    with structlog.testing.capture_logs() as said:
        rarely = Rarely(structlog.get_logger(), lambda: time[0])
        for now in range(0, 36_001, 10):
            time[0] = float(now)
            rarely.say("broker away", broker="b")
        rarely.over("broker is back")
        rarely.over("broker is back")
    waited = [line.get("for_s", 0) for line in said if line["event"] == "broker away"]
    assert waited[:6] == [0, 300, 900, 2100, 4500, 8100]
    assert len(waited) < 15
    assert [line for line in said if line["log_level"] == "info"] == [
        {"event": "broker is back", "log_level": "info", "lasted_s": 36000.0}
    ]


def test_a_condition_that_returns_is_said_at_once() -> None:
    with structlog.testing.capture_logs() as said:
        rarely = Rarely(structlog.get_logger(), lambda: 0.0)
        assert rarely.say("away")
        assert not rarely.say("away")
        assert rarely.over("back")
        assert rarely.say("away")
    assert len(said) == 3
