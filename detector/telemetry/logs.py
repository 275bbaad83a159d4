"""The daemon's own log: JSON lines or text for people, on standard error, without secrets and without repetition."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Protocol, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from detector.config.secrecy import MASK, is_secret
from detector.config.sections import Log

QUIET = 300.0
"""Seconds for which a condition that lasts is not said again, the first time; it doubles from then on."""

LONGEST_QUIET = 3600.0
"""Seconds for which it is not said again, at most."""


class Logger(Protocol):
    """What `Rarely` needs of structlog's logger."""

    def warning(self, event: str, **facts: Any) -> Any:
        """Write at level warning."""

    def info(self, event: str, **facts: Any) -> Any:
        """Write at level info."""


def configure(log: Log, stream: TextIO | None = None) -> None:
    """Set the log up for the whole process: structlog's loggers, and the standard library's for what libraries say.

    `format: auto` writes text where `stream` (standard error) is a terminal, JSON otherwise.
    """
    stream = stream or sys.stderr
    people = log.format == "console" or (log.format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(stream, people=people)],
        )
    )
    handler.addFilter(OncePerPlace())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    # It warns whenever something held kafka-python's loop for a tenth of a second: that is a busy machine, no trouble.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    logging.getLogger("detector").setLevel(log.level.upper())


def _renderers(stream: TextIO, *, people: bool) -> list[Processor]:
    if people:
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    # Local variables stay out of tracebacks: they may hold events and secrets.
    frames = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    return [frames, structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer()]


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask the values of keys that look as if they held secrets, at any depth (a structlog processor)."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: object, value: Any) -> Any:
    if isinstance(key, str) and is_secret(key):
        return MASK
    if isinstance(value, dict):
        return {inner: _redacted(inner, below) for inner, below in value.items()}
    if type(value) in {list, tuple}:  # no other: exc_info and named tuples keep their form
        return type(value)(_redacted(None, below) for below in value)
    return value


class OncePerPlace(logging.Filter):
    """Lets a library say the same thing (the same line of its code) once in five minutes.

    kafka-python warns at each attempt to reach a broker that is away; the daemon says that itself, through `Rarely`.
    The daemon's own log passes.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._said: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record may be written."""
        if record.name == "detector" or record.name.startswith("detector."):
            return True
        place, now = (record.pathname, record.lineno), self._monotonic()
        if now - self._said.get(place, -QUIET) < QUIET:
            return False
        self._said[place] = now
        return True


class Rarely:
    """Says one lasting condition at once, then after 5, 10, 20 ... minutes (at most hourly), and when it ends.

    Not for several threads at a time.
    """

    def __init__(self, log: Logger, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._monotonic = monotonic
        self._since: float | None = None
        self._next = 0.0
        self._quiet = QUIET

    def say(self, event: str, **facts: Any) -> bool:
        """Say as a warning that the condition holds, if it is time to; tell whether it was said."""
        now = self._monotonic()
        if self._since is None:
            self._since, self._next, self._quiet = now, now, QUIET
        if now < self._next:
            return False
        if now > self._since:
            facts["for_s"] = round(now - self._since, 1)
            self._quiet = min(2 * self._quiet, LONGEST_QUIET)
        self._next = now + self._quiet
        self._log.warning(event, **facts)
        return True

    def over(self, event: str, **facts: Any) -> bool:
        """Say that the condition ended and how long it lasted; nothing where it was never said."""
        if self._since is None:
            return False
        lasted, self._since = self._monotonic() - self._since, None
        self._log.info(event, lasted_s=round(lasted, 1), **facts)
        return True
