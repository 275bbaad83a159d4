"""`detector top`: the running daemons of a store, live: rate, lag, open incidents, the entities that are worst."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.live import DEFAULT_TIMEOUT, StoreFolder, Timeout, asked
from detector.cli.options import DEFAULT_CONFIG, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from detector.cli.top_view import Seen


_WIDTH = 160
"""Columns where the output is no terminal: names in a file are not to be cut."""


def top(
    interval: Annotated[float, typer.Option(min=0.2, max=3600.0, metavar="SECONDS", help="Between two looks.")] = 2.0,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="So many looks; else until Ctrl-C.")] = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Watch the running daemons: rate, lag, open incidents and the entities that are worst. Ctrl-C ends it.

    On a terminal the picture is drawn anew; elsewhere each look is printed as plain lines.
    """

    def look() -> Seen:
        from detector.cli.top_view import Seen  # noqa: PLC0415 - rich is slow to import

        return Seen(
            time.monotonic(), [each.result for each in asked("status", store=store, config=config, seconds=timeout)]
        )

    with contextlib.suppress(KeyboardInterrupt), _interrupted() as interrupted:
        _watch(_looks(look, interval, count, interrupted))


@contextlib.contextmanager
def _interrupted() -> Iterator[Callable[[], bool]]:
    """Yield what tells whether there was a Ctrl-C: Python drops the KeyboardInterrupt that comes in a destructor."""
    came = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, before)


def _looks(
    look: Callable[[], Seen], interval: float, count: int | None, interrupted: Callable[[], bool]
) -> Iterator[Seen]:
    number = 0
    while not interrupted():
        yield look()
        number += 1
        if number == count:
            return
        time.sleep(interval)


def _watch(looks: Iterator[Seen]) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.live import Live  # noqa: PLC0415 - as above

    from detector.cli.top_view import picture  # noqa: PLC0415 - as above

    console, before = Console(highlight=False), None
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
        for seen in looks:
            console.print(picture(seen, before))
            before = seen
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for seen in looks:
            live.update(picture(seen, before), refresh=True)
            before = seen
