"""The whole configuration, composed of its sections. `config/load.py` reads YAML into it.

Every section can be imported from here; each stands with the others of its idea in a module of this package.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from detector.config.absence import Absence
from detector.config.alerting import Alerting
from detector.config.connection import Kafka, Registry, Sasl, Tls
from detector.config.events import Events, Feature, Limits, Timestamp
from detector.config.incidents import Incidents
from detector.config.labels import never_met
from detector.config.learning import Learning
from detector.config.model import KEYED_ROWS, PRESETS, Blocks, Entities, HalfLife, Model
from detector.config.mute_times import MuteTime
from detector.config.notification import Fleet, Notification, Route
from detector.config.operation import Checkpointing, DeadLetters, Http, Log, Store
from detector.config.refit import Refit
from detector.config.section import Secret, Section
from detector.config.sinks import AlertmanagerSink, AppriseSink, KafkaSink, Outbox, Sink, StdoutSink, WebhookSink
from detector.config.source import ComputerSource, FileSource, KafkaSource, Source

__all__ = [
    "PRESETS",
    "Absence",
    "Alerting",
    "AlertmanagerSink",
    "AppriseSink",
    "Blocks",
    "Checkpointing",
    "ComputerSource",
    "Config",
    "DeadLetters",
    "Entities",
    "Events",
    "Feature",
    "FileSource",
    "Fleet",
    "HalfLife",
    "Http",
    "Incidents",
    "Kafka",
    "KafkaSink",
    "KafkaSource",
    "Learning",
    "Limits",
    "Log",
    "Model",
    "MuteTime",
    "Notification",
    "Outbox",
    "Refit",
    "Registry",
    "Route",
    "Sasl",
    "Secret",
    "Section",
    "Sink",
    "Source",
    "StdoutSink",
    "Store",
    "Timestamp",
    "Tls",
    "WebhookSink",
]


def _over(defaults: dict[str, object], given: dict[str, object]) -> dict[str, object]:
    """Put what is given over the defaults, section by section."""
    merged = {**defaults, **given}
    for name, value in defaults.items():
        inner = given.get(name)
        if isinstance(value, dict) and isinstance(inner, dict):
            merged[name] = _over(value, inner)
    return merged


_OUTBOXES_OWN = ("dead_letters", "notification")
"""What waits in a partition's outbox for other things than a sink: `detector outbox --sink` names these, too."""


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
    learning: Learning = Learning()
    """Which entities learn."""
    alerting: Alerting = Alerting()
    """From which score on an event is anomalous."""
    incidents: Incidents = Incidents()
    """When anomalous events open an incident, and when it resolves."""
    absence: Absence = Absence()
    """When an entity that used to speak counts as absent."""
    refit: Refit = Refit()
    """Clustering anew, offline."""
    sinks: list[Sink] = [StdoutSink()]
    """Where alerts go."""
    mute_times: list[MuteTime] = []
    """Times in which incidents are not told to people."""
    routes: list[Route] = []
    """Which incidents go to which sinks; without any, all go to every sink."""
    notification: Notification = Notification()
    """How messages for people come about."""
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

    def labels(self) -> list[str]:
        """Return the names of the labels that incidents have."""
        return [*self.notification.labels(), *self.events.labels]

    def outboxes(self) -> list[str]:
        """Return the names by which messages wait: of the sinks, and of what else waits in an outbox."""
        return [*(sink.name for sink in self.sinks), *_OUTBOXES_OWN]

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
        events = given.get("events")
        keyed = isinstance(events, dict) and events.get("entity") is not None
        defaults: dict[str, dict[str, object]] = {
            "model": PRESETS.get(str(given.get("preset", "events")), {}),
            "blocks": {"rows": KEYED_ROWS} if keyed else {},
        }
        own = {name: given.get(name) or {} for name in defaults}
        return given | {name: _over(defaults[name], each) for name, each in own.items() if isinstance(each, dict)}

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.events.format == "avro" and self.events.registry is None:
            message = "`events.format: avro` needs `events.registry`"
            raise ValueError(message)
        names = self.outboxes()
        twice = {n for n in names if names.count(n) > 1}
        if twice:
            own = " or ".join(f"`{name}`" for name in _OUTBOXES_OWN)
            message = f"sink names must differ (and not be {own}); given twice: {', '.join(sorted(twice))}"
            raise ValueError(message)
        names = [mute_time.name for mute_time in self.mute_times]
        if twice := {n for n in names if names.count(n) > 1}:
            message = f"names of mute times must differ; given twice: {', '.join(sorted(twice))}"
            raise ValueError(message)
        named = {name for route in self.routes for name in route.mute_times} | {*self.notification.mute_times}
        if missing := named - {*names}:
            message = f"`mute_times` has none of the name {', '.join(sorted(missing))}, which is referred to"
            raise ValueError(message)
        unknown = {sink for route in self.routes for sink in route.sinks} - {sink.name for sink in self.sinks}
        if unknown:
            message = f"`routes` name sinks that there are not: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        known = self.labels()
        if twice := {name for name in known if known.count(name) > 1}:
            message = f"`notification.entity_labels` and `events.labels` both give the label {', '.join(sorted(twice))}"
            raise ValueError(message)
        if unknown := {*self.notification.group_by}.union(*(route.labels() for route in self.routes)) - {*known}:
            message = (
                f"`routes` or `notification.group_by` name labels that no incident has: {', '.join(sorted(unknown))}; "
                f"expected {', '.join(known)}; `events.labels` takes others from events, and "
                "`notification.entity_labels` from the names of entities"
            )
            raise ValueError(message)
        if wrong := never_met((matcher for route in self.routes for matcher in route.matchers), known):
            message = f"`routes` can never take anything: {wrong}"
            raise ValueError(message)
        return self
