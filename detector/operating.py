"""What an operator may say to the models of this daemon's partitions: each is a control record, or a question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from detector.errors import CommandError, DetectorError, NotMineError
from detector.models.learning import ALL, CONFIGURED, MODES
from detector.owned import Owned
from detector.types import ControlKind, Partition

log = structlog.get_logger(__name__)

_PATTERN_BYTES = 1024
_PATTERNS = 10_000
"""What operators may have said of learning in one partition: each entity that appears is held against it."""


class LearningModes:
    """Answers the commands `learning set` and `learning list`."""

    def __init__(self, owned: Mapping[Partition, Owned]) -> None:
        self._owned = owned

    def say(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Let the entities that match `pattern` have a `mode` from the next block on, in `partition` or in all.

        An entity's own name means the partitions that know it, unless one is named.
        """
        pattern, mode, partition = (payload.get(name) for name in ("pattern", "mode", "partition"))
        if mode not in {*MODES, CONFIGURED}:
            message = f"learning: no mode {mode!r}; expected one of {', '.join([*MODES, CONFIGURED])}"
            raise CommandError(message)
        if not isinstance(pattern, str) or not 0 < len(pattern.encode()) <= _PATTERN_BYTES:
            message = f"learning: expected an entity or a pattern of 1 to {_PATTERN_BYTES} bytes"
            raise CommandError(message)
        told: list[dict[str, Any]] = []
        for owned in self._meant(pattern, partition):
            try:
                record = owned.control(ControlKind.LEARNING, {"pattern": pattern, "mode": mode})
            except DetectorError as error:
                error.args = (_half_done(str(error), told),)
                raise
            log.info("learning_changes", partition=str(owned.partition), at_block=record.boundary, mode=mode)
            told.append({"partition": str(owned.partition), "at_block": record.boundary})
        return {"pattern": pattern, "mode": mode, "partitions": told}

    def tell(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Tell what configuration and operators say of learning, in `partition` or in all, and of `entity` if given."""
        entity, partition = payload.get("entity"), payload.get("partition")
        return {"partitions": [_listed(owned, entity) for owned in chosen(self._owned, partition)]}

    def _meant(self, pattern: str, partition: object) -> list[Owned]:
        some = chosen(self._owned, partition)
        for owned in some:
            if not owned.model.shape.keyed and pattern != ALL:
                message = f"learning: {owned.partition} has no entities (`events.entity` is not set); say --all"
                raise CommandError(message)
            if len(owned.model.learning.said) >= _PATTERNS:
                message = (
                    f"learning: {_PATTERNS} entities and patterns have a mode of their own in {owned.partition} "
                    "already; use patterns, put them into the configuration, or begin anew with --all default"
                )
                raise CommandError(message)
        if partition is not None or any(sign in pattern for sign in "*?["):
            return some
        some = [owned for owned in some if pattern in owned.model.slots]
        if not some:
            message = (
                f"learning: no partition of this daemon knows the entity {pattern!r}; name the partition "
                "(--partition) to say it beforehand"
            )
            raise NotMineError(message)
        return some


def chosen(owned: Mapping[Partition, Owned], partition: object) -> list[Owned]:
    """Return the partitions that are meant, by name (TOPIC/NUMBER) or all; NotMineError where there is none."""
    some = [each for _, each in sorted(owned.items()) if partition is None or str(each.partition) == partition]
    if not some:
        names = ", ".join(str(each) for each in sorted(owned)) or "none"
        message = f"{partition or 'partitions'}: not owned by this daemon, which owns {names}"
        raise NotMineError(message)
    return some


def _half_done(error: str, told: list[dict[str, Any]]) -> str:
    done = ", ".join(each["partition"] for each in told)
    return f"{error} (already done for {done})" if done else error


def _listed(owned: Owned, entity: object) -> dict[str, Any]:
    model, configured = owned.model, owned.model.detection.learning
    listed: dict[str, Any] = {
        "partition": str(owned.partition),
        "default": configured.default,
        "configured": configured.entities,
        "said": model.learning.said,
        "waiting": [
            {**record.payload, "at_block": record.boundary}
            for record in model.waiting
            if record.kind is ControlKind.LEARNING
        ],
        "entities": model.counted().learning,
        "rows_quarantined": model.quarantine.rows,
    }
    if isinstance(entity, str):
        mode = MODES[model.learning.mode_of(entity)]
        listed["entity"] = {"name": entity, "mode": mode, "known": entity in model.slots}
    return listed
