"""The part of the configuration that changes what is detected: it is an input beside the log, so the log records it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import ValidationError

from detector.config.sections import Absence, Alerting, Blocks, Config, Entities, Events, Incidents, Learning, Model
from detector.errors import StoreError


@dataclass(frozen=True, slots=True)
class Detection:
    """What a control record of kind `configuration` carries.

    It is independent of the source, of where things are and of who may reach them: `events.registry` is always None
    here. Two configurations with equal payloads detect the same.
    """

    events: Events
    blocks: Blocks
    entities: Entities
    model: Model
    alerting: Alerting
    incidents: Incidents = field(default_factory=Incidents)
    learning: Learning = field(default_factory=Learning)
    absence: Absence = field(default_factory=Absence)

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take the part of a whole configuration."""
        events = config.events.model_copy(update={"registry": None})
        absence = Absence.model_validate(config.absence.model_dump(exclude={"idle_after"}))
        return cls(
            events,
            config.blocks,
            config.entities,
            config.model,
            config.alerting,
            config.incidents,
            config.learning,
            absence,
        )

    def to_payload(self) -> dict[str, Any]:
        """Return it as plain JSON values, every setting written out, so that a later default changes no replay."""
        return {
            "events": self.events.model_dump(mode="json", exclude={"registry"}),
            "blocks": self.blocks.model_dump(mode="json"),
            "entities": self.entities.model_dump(mode="json"),
            "model": self.model.model_dump(mode="json"),
            "alerting": self.alerting.model_dump(mode="json"),
            "incidents": self.incidents.model_dump(mode="json"),
            "learning": self.learning.model_dump(mode="json"),
            "absence": self.absence.model_dump(mode="json", exclude={"idle_after"}),
        }

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Read what `to_payload` wrote; StoreError where it is not such a payload of this or an older version."""
        try:
            return cls(
                Events.model_validate(payload["events"]),
                Blocks.model_validate(payload["blocks"]),
                Entities.model_validate(payload["entities"]),
                Model.model_validate(payload["model"]),
                Alerting.model_validate(payload["alerting"]),
                Incidents.model_validate(payload["incidents"]),
                Learning.model_validate(payload.get("learning", {})),
                Absence.model_validate(payload.get("absence", {"enabled": False})),
            )
        except (KeyError, TypeError, ValidationError) as error:
            message = (
                "the configuration kept in the store cannot be read by this version of detector: "
                f"{' '.join(str(error).split())}; use the version that wrote it, or start cold with an empty store"
            )
            raise StoreError(message) from error


def detection(config: Config) -> dict[str, Any]:
    """Return the payload of a configuration's detection part."""
    return Detection.of(config).to_payload()
