"""What kafka-python says in its log and nowhere else: why a connection failed.

Its clients retry by themselves, and what they raise in the end ("unable to bootstrap") names no reason.
"""

from __future__ import annotations

import logging


class Handover(Exception):  # noqa: N818 - not an error: it brings the caller's thread back
    """Raised inside kafka-python's rebalance listener to end its poll at once.

    kafka-python calls the listener on a thread of its own, where nothing of the daemon may run; an exception is its
    one way to give control back before the group goes on.
    """


class ClientLog(logging.Handler):
    """Keeps the reason why kafka-python could not connect, and its log free of handovers.

    kafka-python tries several times, and a broker that refuses a login just hangs up at some of them; so a reason
    stays until one comes that says as much, or `forget`.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reason: Exception | None = None
        self._listens_to = logging.getLogger("kafka.net")
        self._quietens = logging.getLogger("kafka.coordinator.consumer")

    def attach(self) -> None:
        """Begin to listen."""
        self._listens_to.addHandler(self)
        self._quietens.addFilter(_is_no_handover)

    def detach(self) -> None:
        """Stop listening."""
        self._listens_to.removeHandler(self)
        self._quietens.removeFilter(_is_no_handover)

    def forget(self) -> None:
        """Begin to look for a reason anew."""
        self.reason = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception that a message of kafka-python is about."""
        for heard in record.args if isinstance(record.args, tuple) else ():
            if isinstance(heard, Exception) and _says(heard) >= max(_says(self.reason), 1):
                self.reason = heard


def _says(reason: Exception | None) -> int:
    """Return how much a reason says.

    0 for what only sums up, 1 for an answer that did not come in time (the last attempt has little of it), 2 for a
    connection that was not made or ended.
    """
    text = f"{type(reason).__name__} {reason}"
    if reason is None or "Unable to bootstrap" in text:
        return 0
    if "RequestTimedOutError" in text:
        return 1
    return 2 if "KafkaConnectionError" in text and "SSL" not in text else 3


def _is_no_handover(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], Handover))
