"""What kafka-python's failures mean to the user, in one line: what was found, since when, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from detector.config.sections import Kafka, KafkaSource
from detector.errors import DetectorError, SourceError, SourceUnavailableError
from detector.protocols import Clock
from detector.types import Partition

_LABELS = re.compile(r"^(\[Error \d+\] |\w+Error: )+")
_WAITING = {
    "TopicAuthorizationFailedError": "may not read topic {detail}; grant it Describe and Read",
    "GroupAuthorizationFailedError": "may not use consumer group {group}; grant it Read on the group",
    "ClusterAuthorizationFailedError": "is not authorized for the cluster ({detail}); grant what is missing",
}
_DECIDING = {
    "FencedInstanceIdError": (
        "another member of group {group} has taken source.instance_id {instance_id}; give each daemon one of its own"
    ),
    "InconsistentGroupProtocolError": (
        "consumer group {group} is used by a client that shares partitions in another way than cooperative-sticky;"
        " give the detector a group of its own (source.group)"
    ),
    "InvalidSessionTimeoutError": (
        "the broker does not accept source.session_timeout {session_timeout:g} s; its limits are"
        " group.min.session.timeout.ms and group.max.session.timeout.ms"
    ),
    "InvalidGroupIdError": "the broker does not accept source.group {group}; choose another name",
    "GroupMaxSizeReachedError": "consumer group {group} has as many members as the broker's group.max.size allows",
    "CorruptRecordError": "a record's checksum is wrong ({detail}); the log on the broker's disk is damaged",
    "UnsupportedCodecError": "records are compressed in a way that this installation cannot read ({detail})",
}


class Trouble:
    """Since when nothing can arrive, and the error to raise for it."""

    def __init__(self, config: KafkaSource, kafka: Kafka, clock: Clock) -> None:
        self._config = config
        self._kafka = kafka
        self._clock = clock
        self._servers = ", ".join(kafka.bootstrap_servers)
        self._since: tuple[float, float] | None = None

    def lasts(self) -> float:
        """Return for how many seconds there has been trouble; it begins with the first call."""
        if self._since is None:
            self._since = (self._clock.monotonic(), self._clock.now())
        return self._clock.monotonic() - self._since[0]

    @property
    def lasting(self) -> bool:
        """Whether there is trouble."""
        return self._since is not None

    def over(self) -> None:
        """Note that there is none."""
        self._since = None

    def explain(self, error: Exception) -> SourceError:
        """Return the error for what a consumer raised: unavailable where waiting may help."""
        name = type(error).__name__
        facts = {
            "group": self._config.group,
            "instance_id": self._config.instance_id,
            "session_timeout": self._config.session_timeout,
            "detail": error,
        }
        if name in _DECIDING:
            return SourceError(f"Kafka at {self._servers}: {_DECIDING[name].format(**facts)}")
        if name in _WAITING:
            return self._wait(f"Kafka at {self._servers}: {self._user()} {_WAITING[name].format(**facts)}")
        return self._wait(f"Kafka at {self._servers} cannot be used for now ({error})")

    def unreachable(self, reason: Exception | None) -> SourceUnavailableError:
        """Return the error for brokers that cannot be reached; `reason` is the last that was heard."""
        text = f"{type(reason).__name__} {reason}" if reason is not None else ""
        said = _LABELS.sub("", str(reason or "no answer"))
        if isinstance(reason, DetectorError):
            return self._wait(f"cannot log in to Kafka at {self._servers}: {reason}")
        if "SSL" in text or "certificate" in text:
            advice = "check kafka.tls, and that the port is one for TLS"
            return self._wait(f"no secure connection to Kafka at {self._servers} ({said}); {advice}")
        # A broker that refuses a login says so and hangs up; kafka-python often hears only the latter.
        if self._kafka.sasl is not None and ("Sasl" in text or "disconnected" in text):
            way = f"{self._user()} in by {self._kafka.sasl.mechanism}"
            return self._wait(f"Kafka at {self._servers} does not let {way} ({said}); check kafka.sasl")
        if self._kafka.tls is None and ("Invalid frame length" in text or "disconnected" in text):
            advice = "the port may be one for TLS (kafka.tls), for SASL (kafka.sasl), or that of another program"
            return self._wait(f"what answers at {self._servers} hangs up ({said}); {advice}")
        advice = "check that Kafka runs, kafka.bootstrap_servers, and the brokers' advertised.listeners"
        return self._wait(f"no broker of {self._servers} can be reached ({said}); {advice}")

    def silent(self, partition: Partition) -> SourceUnavailableError:
        """Return the error for brokers that do not tell what a partition holds."""
        advice = "it may be starting, or its topic is being deleted"
        return self._wait(f"Kafka at {self._servers} does not say what {partition} holds; {advice}")

    def no_topic(self, known: set[str], forbidden: set[str]) -> SourceUnavailableError | None:
        """Return the error for a subscription that meets no topic of the cluster; None where it meets one."""
        names, pattern = self._config.topics, self._config.pattern
        if forbidden:
            advice = "grant it Describe and Read"
            return self._wait(f"Kafka at {self._servers}: {self._user()} may not read {_listed(forbidden)}; {advice}")
        if pattern is not None and not any(re.fullmatch(pattern, topic) for topic in known):
            return self._wait(f"Kafka at {self._servers} has no topic that source.pattern {pattern!r} matches")
        if names is not None and not known.intersection(names):
            advice = "create it, or correct source.topics"
            return self._wait(f"Kafka at {self._servers} has no topic {_listed(names)}; {advice}")
        return None

    def _wait(self, text: str) -> SourceUnavailableError:
        self.lasts()
        assert self._since is not None
        since = datetime.fromtimestamp(self._since[1], UTC).isoformat(timespec="seconds")
        return SourceUnavailableError(f"{text} (since {since})")

    def _user(self) -> str:
        sasl = self._kafka.sasl
        if sasl is None:
            return "the detector, which does not authenticate,"
        name = sasl.username or sasl.client_id
        return f"user {name!r}" if name else "the bearer of kafka.sasl.token"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
