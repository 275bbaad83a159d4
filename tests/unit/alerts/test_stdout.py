from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from detector.alerts.stdout import StdoutSink
from detector.types import Outcome
from tests.support.alerts import entry


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:  # the test has closed it already
            continue


def drain(reader: int) -> bytes:
    os.set_blocking(reader, False)
    read = b""
    try:
        while more := os.read(reader, 1 << 16):
            read += more
    except BlockingIOError:
        pass
    return read


def fill(writer: int) -> None:
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"." * 512)
    except BlockingIOError:
        os.set_blocking(writer, True)


def test_each_alert_is_one_line(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    sink = StdoutSink("out", writer)
    assert sink.deliver(entry("out", 1), 1).outcome is Outcome.DELIVERED
    assert sink.deliver(entry("out", 2), 1).outcome is Outcome.DELIVERED
    assert drain(reader) == entry("out", 1).body + b"\n" + entry("out", 2).body + b"\n"


def test_a_reader_that_does_not_read_holds_nothing_up(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    sink = StdoutSink("out", writer, timeout=0.05)
    fill(writer)
    assert sink.deliver(entry("out"), 1)[:2] == (Outcome.RETRY, "timeout")
    drain(reader)
    assert sink.deliver(entry("out"), 2).outcome is Outcome.DELIVERED
    assert drain(reader) == entry("out").body + b"\n"


def test_a_torn_line_is_ended_before_the_next(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    sink = StdoutSink("out", writer, timeout=0.05)
    long = entry("out")._replace(body=b"x" * 1_000_000)
    assert sink.deliver(long, 1)[:2] == (Outcome.RETRY, "timeout")
    assert 0 < len(drain(reader)) < 1_000_000
    assert sink.deliver(entry("out"), 1).outcome is Outcome.DELIVERED
    assert drain(reader) == b"\n" + entry("out").body + b"\n"


def test_a_reader_that_left_is_no_crash(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    assert StdoutSink("out", writer).deliver(entry("out"), 1)[:2] == (Outcome.RETRY, "closed")


def test_closing_leaves_the_descriptor_open(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    StdoutSink("out", writer).close()
    os.fstat(writer)
