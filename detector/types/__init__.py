"""The values that pass between the layers. All are frozen; arrays carry their shape and dtype in the docstring."""

from detector.types.alerts import Alert, Direction, FeatureShare, Finding, Incident, Phase, Reason, Severity
from detector.types.arrays import Bool, Float32, Float64, Int8, Int32, Int64
from detector.types.notification import KnownIncident
from detector.types.outbox import SUBJECT_LENGTH, Attempt, DeadLetter, OutboxEntry, Outcome, QueuedEntry
from detector.types.places import Partition, Place, Position
from detector.types.records import Batch, LogFacts, PlainRecord, Record
from detector.types.rows import NO_ROWS, Decoded, Reject, RejectReason, Rows
from detector.types.saved import Checkpoint, ControlKind, ControlRecord, KeptEvents, SlotState

__all__ = [
    "NO_ROWS",
    "SUBJECT_LENGTH",
    "Alert",
    "Attempt",
    "Batch",
    "Bool",
    "Checkpoint",
    "ControlKind",
    "ControlRecord",
    "DeadLetter",
    "Decoded",
    "Direction",
    "FeatureShare",
    "Finding",
    "Float32",
    "Float64",
    "Incident",
    "Int8",
    "Int32",
    "Int64",
    "KeptEvents",
    "KnownIncident",
    "LogFacts",
    "OutboxEntry",
    "Outcome",
    "Partition",
    "Phase",
    "Place",
    "PlainRecord",
    "Position",
    "QueuedEntry",
    "Reason",
    "Record",
    "Reject",
    "RejectReason",
    "Rows",
    "Severity",
    "SlotState",
]
