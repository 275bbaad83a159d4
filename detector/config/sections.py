"""Every setting of the daemon, with its meaning and default. `config/load.py` reads YAML into these."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from detector.config.units import NUMBER, Bytes, Count, HttpUrl, Names, Seconds, instant


class Section(BaseModel):
    """A part of the configuration: frozen, unknown keys refused, every field documented."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Secret(Section):
    """A secret, given in place (best through ${ENV}) or as a file that holds it and nothing else."""

    value: SecretStr | None = None
    """The secret itself."""
    file: Path | None = None
    """A file whose content, without surrounding white space, is the secret; read at start."""

    @model_validator(mode="before")
    @classmethod
    def _accept_plain(cls, given: object) -> object:
        if isinstance(given, (bool, int, float)):
            message = "a secret is text: put it in quotes"
            raise ValueError(message)  # noqa: TRY004 - pydantic turns only ValueError into a located message
        return {"value": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _exactly_one(self) -> Secret:
        if self.value is not None and not self.value.get_secret_value().strip():
            message = "the secret is empty"
            raise ValueError(message)
        if (self.value is None) == (self.file is None):
            message = "give either the secret itself or `file:`, not both and not neither"
            raise ValueError(message)
        return self

    def reveal(self) -> str:
        """Return the secret; OSError where its file cannot be read."""
        if self.value is not None:
            return self.value.get_secret_value()
        assert self.file is not None  # the validator has seen to it
        return self.file.read_text(encoding="utf-8").strip()


class Tls(Section):
    """TLS towards a server."""

    ca_file: Path | None = None
    """Certificates to trust (PEM); the system's where absent."""
    cert_file: Path | None = None
    """This daemon's own certificate (PEM), where the server asks for one."""
    key_file: Path | None = None
    """The private key to `cert_file` (PEM)."""
    key_password: Secret | None = None
    """The password of `key_file`."""
    check_hostname: bool = True
    """Whether the server's name must match its certificate."""


class Sasl(Section):
    """SASL towards a Kafka broker."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
    """How to authenticate."""
    username: str | None = None
    """User, for PLAIN and SCRAM."""
    password: Secret | None = None
    """Password, for PLAIN and SCRAM."""
    token: Secret | None = None
    """A fixed bearer token for OAUTHBEARER; with `file:` it is read anew at each login, so it may be rotated."""
    token_url: HttpUrl | None = None
    """An OAuth 2 token endpoint for OAUTHBEARER (client credentials grant)."""
    client_id: str | None = None
    """Client id for `token_url`."""
    client_secret: Secret | None = None
    """Client secret for `token_url`."""
    scope: str | None = None
    """Scope for `token_url`."""

    @model_validator(mode="after")
    def _complete(self) -> Sasl:
        if self.mechanism == "OAUTHBEARER":
            if (self.token is None) == (self.token_url is None):
                message = "OAUTHBEARER needs either `token` or `token_url`"
                raise ValueError(message)
            if self.token_url is not None and (self.client_id is None or self.client_secret is None):
                message = "`token_url` needs `client_id` and `client_secret`"
                raise ValueError(message)
        elif self.username is None or self.password is None:
            message = f"{self.mechanism} needs `username` and `password`"
            raise ValueError(message)
        return self


class Kafka(Section):
    """How to reach a Kafka cluster."""

    bootstrap_servers: Names = ["127.0.0.1:9092"]
    """host:port of one or more brokers, as a list or as text with commas."""
    tls: Tls | None = None
    """TLS settings; absent = no TLS."""
    sasl: Sasl | None = None
    """SASL settings; absent = none."""
    client_id: str = "detector"
    """The name that the broker's logs and quotas know this daemon by."""
    request_timeout: Seconds = 30.0
    """How long a request may take."""


class KafkaSource(Section):
    """Events from Kafka, as a member of a consumer group."""

    kind: Literal["kafka"] = "kafka"
    """Kafka."""
    topics: Names | None = None
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


class Timestamp(Section):
    """Where an event's time stands."""

    path: str | None = None
    """Path of the field; absent = the record's own Kafka timestamp."""
    unit: Literal["s", "ms", "us", "ns", "rfc3339"] = "ms"
    """Its unit since the epoch, or RFC 3339 text."""


class Registry(Section):
    """A schema registry that speaks Confluent's API, for Avro."""

    url: HttpUrl
    """Its base URL."""
    username: str | None = None
    """User for basic authentication."""
    password: Secret | None = None
    """Password for basic authentication."""
    tls: Tls = Tls()
    """TLS settings, used with an https URL."""
    timeout: Seconds = 5.0
    """How long one request may take."""


class Limits(Section):
    """Bounds on what a record may hold; what is beyond is rejected."""

    record_bytes: Bytes = 4 << 20
    """Size of a record's value."""
    depth: Annotated[int, Field(ge=1, le=256), NUMBER] = 32
    """Nesting of a JSON document."""
    rows: Count = 100_000
    """Rows in one record."""
    entity_bytes: Count = 256
    """Length of an entity's name in UTF-8."""
    too_old: Seconds = 7 * 86400.0
    """How far an event's time may lie before its record's Kafka timestamp."""
    too_far_ahead: Seconds = 3600.0
    """How far an event's time may lie after its record's Kafka timestamp."""


class Feature(Section):
    """One feature."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    """Its name in alerts."""
    path: str | None = None
    """Where it stands in the event; its name where absent."""
    unit: str = ""
    """Its unit, for people."""


class Events(Section):
    """How a record becomes rows.

    A path is names joined by dots (`metrics.cpu`); a name that holds a dot is quoted (`metrics."a.b"`); `$key` is the
    record's key and `$headers.NAME` a header.
    """

    format: Literal["json", "arrow", "avro"] = "json"
    """JSON (one event, or an array of events), Arrow IPC streams, or Avro with a schema registry."""
    features: Annotated[list[Feature], Field(min_length=1, max_length=1024)]
    """The features, in order. A plain name stands for {name: NAME}."""
    entity: str | None = None
    """Path of the entity (a host, a sensor); absent = one model per partition."""
    timestamp: Timestamp = Timestamp()
    """Where an event's time stands."""
    events: str | None = None
    """Path of the array of events inside a record, where it is not the document itself."""
    where: dict[str, str | int | float | bool] = {}
    """Equality on paths; events that do not match are passed over and counted."""
    registry: Registry | None = None
    """The schema registry; required for `avro`. It is no part of what decides detection."""
    limits: Limits = Limits()
    """Bounds on what a record may hold."""

    @model_validator(mode="before")
    @classmethod
    def _accept_names(cls, given: object) -> object:
        if isinstance(given, dict) and isinstance(given.get("features"), list):
            features = [{"name": f} if isinstance(f, str) else f for f in given["features"]]
            return {**given, "features": features}
        return given

    @model_validator(mode="after")
    def _consistent(self) -> Events:
        names = [f.name for f in self.features]
        twice = {n for n in names if names.count(n) > 1}
        if twice:
            message = f"feature names must differ; given twice: {', '.join(sorted(twice))}"
            raise ValueError(message)
        return self


class Blocks(Section):
    """When the model changes: only at block boundaries, which the log alone decides."""

    rows: Annotated[int, Field(ge=16, le=4096), NUMBER] = 256
    """A block ends when it holds this many rows."""
    tick: Seconds = 10.0
    """A block ends when the partition's event time enters a new multiple of this."""


class Entities(Section):
    """Bounds on the entities of one partition."""

    limit: Count = 1_000_000
    """Entities known per partition, at most; rows of further ones are not scored, and counted."""
    evict_after: Seconds = 3600.0
    """An entity unseen for this long (event time) leaves memory; its state stays in the store and returns with it."""
    forget_after: Seconds = 30 * 86400.0
    """An entity unseen for this long (event time) is deleted for good."""

    @model_validator(mode="after")
    def _ordered(self) -> Entities:
        if self.forget_after < self.evict_after:
            message = "`forget_after` must not be shorter than `evict_after`"
            raise ValueError(message)
        return self


class HalfLife(Section):
    """How fast the past fades; the faster of the two where both are given, never where neither is."""

    events: Annotated[float, Field(gt=0), NUMBER] | None = 200_000
    """Rows of a slot after which their weight is halved."""
    time: Seconds | None = None
    """Event time after which their weight is halved."""


class Model(Section):
    """The online K-Means of a slot."""

    centroids: Annotated[int, Field(ge=1, le=256), NUMBER] = 16
    """Number of centroids of a member, K."""
    members: Annotated[int, Field(ge=1, le=16), NUMBER] | None = None
    """Models of a slot, seeded differently, whose distances are averaged; absent = 5, or 1 with an entity field."""
    mass: Annotated[float, Field(gt=0, le=1), NUMBER] = 0.8
    """The heaviest centroids that hold this share of the mass define normal (0.95 with the preset `metrics`): else
    each burst of anomalies would get a centroid of its own, and be normal."""
    scale: Literal["within", "total"] = "within"
    """What a feature's distance is measured by: its spread within the clusters (what the other features foretell of it
    counts as known), or its spread in all."""
    smoothing: Annotated[float, Field(gt=0), NUMBER] | None = None
    """Half-life in events of the mean that a slot's scores are smoothed by (10 with the preset `metrics`); absent =
    each event is judged by itself."""
    gate: Annotated[float, Field(ge=1), NUMBER] | None = None
    """Rows whose score lies beyond this many times the 99.9 % quantile are not learned but kept in quarantine (1.5
    with the preset `metrics`); absent = all rows are learned."""
    promote_count: Count = 500
    """Rows after which what is not among the heaviest, or what is in quarantine, may become normal all the same ..."""
    promote_after: Seconds = 86400.0
    """... when they are spread over this much event time."""
    half_life: HalfLife = HalfLife()
    """How fast the past fades."""
    seed_rows: Annotated[int, Field(ge=8, le=4096), NUMBER] | None = None
    """Rows from which a slot's centroids are seeded (k-means++); absent = 512, or 8 K with an entity field."""
    warm_up: Count = 128
    """Rows that a slot must have learned before its scores count."""


class Alerting(Section):
    """When a score becomes an alert."""

    false_alarm_rate: Annotated[float, Field(ge=1e-6, le=1e-1), NUMBER] = 1e-4
    """The share of normal events that may be flagged; an event is anomalous from score -log10 of it."""
    critical_decades: Annotated[float, Field(ge=0), NUMBER] = 2.0
    """How many decades beyond the threshold an alert is `critical` rather than `warning`."""
    cool_down: Seconds = 300.0
    """After an alert of an entity, this much event time passes without another one."""
    reference: Annotated[int, Field(ge=1000), NUMBER] = 100_000
    """Recent scores of the partition, half-life in events, that a rate is judged against."""
    warm_up: Annotated[int, Field(ge=100), NUMBER] = 1_000
    """Scores that the reference must hold before anything alerts."""


class WebhookSink(Section):
    """Alerts by HTTP POST, signed as Standard Webhooks 1.0.0 has it."""

    kind: Literal["webhook"] = "webhook"
    """A webhook."""
    name: str = "webhook"
    """Its name in metrics and logs."""
    url: HttpUrl
    """Where to post."""
    secrets: list[Secret] = []
    """Signing secrets (whsec_...), the newest first: a message is signed with each, so that they can be rotated.
    Empty items are left out; without any, messages go unsigned."""
    timeout: Seconds = 20.0
    """How long one attempt may take."""
    tls: Tls = Tls()
    """TLS settings, used with an https URL."""
    headers: dict[str, Secret] = {}
    """Further request headers, such as Authorization."""

    @field_validator("secrets", mode="before")
    @classmethod
    def _leave_out_absent(cls, given: object) -> object:
        # `- ${OLD_SECRET:-}` is an empty item, so that rotation needs no change of the file.
        return [item for item in given if item is not None] if isinstance(given, list) else given


class KafkaSink(Section):
    """Alerts to a Kafka topic, keyed by entity."""

    kind: Literal["kafka"] = "kafka"
    """A Kafka topic."""
    name: str = "kafka"
    """Its name in metrics and logs."""
    topic: str
    """The topic."""


class StdoutSink(Section):
    """Alerts as JSON lines on standard output."""

    kind: Literal["stdout"] = "stdout"
    """Standard output."""
    name: str = "stdout"
    """Its name in metrics and logs."""


Sink = Annotated[WebhookSink | KafkaSink | StdoutSink, Field(discriminator="kind")]


class Outbox(Section):
    """Where alerts wait for their delivery."""

    max_alerts: Count = 100_000
    """Alerts of one partition that may wait for one sink; beyond, reading waits for the receiver."""


class DeadLetters(Section):
    """Where rejected records are kept."""

    topic: str | None = None
    """A Kafka topic; absent = the dead-letter table of the store alone."""
    keep: Count = 10_000
    """Rejected records kept in the table per partition; the oldest leave first."""
    max_bytes: Bytes = 64 << 20
    """Bytes of dead letters waiting for their topic, per partition; when full the source pauses."""


class Checkpointing(Section):
    """When state is saved."""

    interval: Seconds = 10.0
    """Time between checkpoints."""
    max_alert_delay: Seconds = 0.02
    """An alert is durable within this time."""


class Store(Section):
    """The folder of the state."""

    path: Path = Path("detector-state")
    """The folder; made if absent. It serves one machine."""


class Http(Section):
    """Metrics and health over HTTP."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535), NUMBER] = 9108
    """Port to listen on; 0 = any free one, told in the log."""
    enabled: bool = True
    """Whether to listen at all."""


class Log(Section):
    """The daemon's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is written."""
    format: Literal["auto", "json", "console"] = "auto"
    """JSON lines or text for people; auto = text on a terminal."""


PRESETS: dict[str, dict[str, object]] = {
    "events": {},
    "metrics": {"half_life": {"events": None, "time": 7 * 86400.0}, "mass": 0.95, "smoothing": 10.0, "gate": 1.5},
}
"""What a preset puts in the place of the defaults of `model`."""


def _over(defaults: dict[str, object], given: dict[str, object]) -> dict[str, object]:
    """Put what is given over the defaults, section by section."""
    merged = {**defaults, **given}
    for name, value in defaults.items():
        inner = given.get(name)
        if isinstance(value, dict) and isinstance(inner, dict):
            merged[name] = _over(value, inner)
    return merged


class Config(Section):
    """The whole configuration."""

    preset: Literal["events", "metrics"] = "events"
    """What kind of stream it is: `events` independent of each other (connections, orders), or `metrics`, readings of
    the same things again and again. It changes the defaults of `model`."""
    source: Source
    """Where events come from."""
    kafka: Kafka = Kafka()
    """The Kafka cluster, for the source, the alerts topic and the dead-letter topic."""
    events: Events
    """How a record becomes rows."""
    blocks: Blocks = Blocks()
    """When the model changes."""
    entities: Entities = Entities()
    """Bounds on the entities of one partition."""
    model: Model = Model()
    """The online K-Means."""
    alerting: Alerting = Alerting()
    """When a score becomes an alert."""
    sinks: list[Sink] = [StdoutSink()]
    """Where alerts go."""
    outbox: Outbox = Outbox()
    """Where alerts wait for their delivery."""
    dead_letters: DeadLetters = DeadLetters()
    """Where rejected records are kept."""
    checkpoint: Checkpointing = Checkpointing()
    """When state is saved."""
    store: Store = Store()
    """The folder of the state."""
    http: Http = Http()
    """Metrics and health."""
    log: Log = Log()
    """The daemon's own log."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, given: object) -> object:
        # `log:` with nothing but comments under it reads as null: it means the defaults.
        return {k: v for k, v in given.items() if v is not None} if isinstance(given, dict) else given

    @model_validator(mode="before")
    @classmethod
    def _take_preset(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        model, preset = given.get("model") or {}, PRESETS.get(str(given.get("preset", "events")), {})
        return {**given, "model": _over(preset, model)} if isinstance(model, dict) else given

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.events.format == "avro" and self.events.registry is None:
            message = "`events.format: avro` needs `events.registry`"
            raise ValueError(message)
        names = [s.name for s in self.sinks] + ["dead_letters"]
        twice = {n for n in names if names.count(n) > 1}
        if twice:
            message = f"sink names must differ (and not be `dead_letters`); given twice: {', '.join(sorted(twice))}"
            raise ValueError(message)
        return self
