"""Where events come from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from detector.config.section import Section
from detector.config.units import Bytes, Count, Seconds, TopicNames, instant


class KafkaSource(Section):
    """Events from Kafka, as a member of a consumer group."""

    kind: Literal["kafka"] = "kafka"
    """Kafka."""
    topics: TopicNames | None = None
    """Topics by name, as a list or as text with commas; or give `pattern`."""
    pattern: str | None = None
    """Topics by a regular expression that must match the whole name; new ones are picked up."""
    group: str = "detector"
    """The consumer group; daemons of one group share the partitions."""
    instance_id: str | None = None
    """Static membership: a name unique in the group, so that a restart within `session_timeout` moves nothing."""
    start: str = "earliest"
    """Where to begin a partition that has no checkpoint: `earliest`, `latest`, or a time (RFC 3339)."""
    on_log_changed: Literal["stop", "cold", "resume"] = "stop"
    """What to do with a topic made anew, a log truncated below the checkpoint, or a partition that another store's
    daemon committed: `stop` with an error; `cold` = forget the partition's state and begin at `start`; `resume` =
    keep the state and go on at the earliest offset that is left (or at the other store's committed offset)."""
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed"
    """Whether records of aborted transactions are hidden."""
    max_poll_records: Count = 7680
    """Records handed on in one poll, at most."""
    fetch_max_bytes: Bytes = 16 << 20
    """Bytes per fetch, at most."""
    partition_fetch_max_bytes: Bytes = 4 << 20
    """Bytes per fetch and partition, at most."""
    fetch_max_wait: Seconds = 0.05
    """How long the broker may hold a fetch that has nothing to return."""
    session_timeout: Seconds = 45.0
    """The group gives a member's partitions away after this long without a heartbeat."""
    max_poll_interval: Seconds = 300.0
    """The group gives them away when the daemon has not polled for this long."""
    metadata_max_age: Seconds = 30.0
    """How often new topics and partitions are looked for."""

    @field_validator("pattern")
    @classmethod
    def _pattern_compiles(cls, given: str | None) -> str | None:
        try:
            re.compile(given or "")
        except re.error as error:
            message = f"expected a regular expression, but {error}"
            raise ValueError(message) from None
        return given

    @field_validator("start")
    @classmethod
    def _start_is_a_place(cls, given: str) -> str:
        if given not in {"earliest", "latest"}:
            try:
                instant(given)
            except ValueError as error:
                message = f"expected `earliest`, `latest` or a time: {error}"
                raise ValueError(message) from None
        return given

    @model_validator(mode="after")
    def _names_topics(self) -> KafkaSource:
        if (self.topics is None) == (self.pattern is None):
            message = "give either `topics` or `pattern`"
            raise ValueError(message)
        return self


class ComputerSource(Section):
    """This computer's own load: CPU, memory, disk, network, context switches, through psutil."""

    kind: Literal["computer"] = "computer"
    """This computer."""
    interval: Seconds = 0.2
    """Time between two samples."""


class FileSource(Section):
    """Events from a file of JSON lines; read to its end, then the daemon checkpoints and exits."""

    kind: Literal["file"] = "file"
    """A file."""
    path: Path
    """The file; one JSON document a line, read as the `json` format reads a Kafka record."""
    topic: str | None = None
    """The name it goes by in alerts and in the store; the file's name without its ending where absent."""


Source = Annotated[KafkaSource | ComputerSource | FileSource, Field(discriminator="kind")]
