"""`detector refit` and `detector model`: what an operator asks about versions of the models, answered by the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from detector.control.commands import Commands
from detector.errors import CommandError, NotMineError
from detector.models.scale import standardised
from detector.models.shape import form_digest
from detector.models.versions import Version
from detector.owned import Owned
from detector.refit.values import Parameters
from detector.refitting import STATES, Refitting, records
from detector.types import ControlKind, ControlRecord, Partition


class RefitCommands:
    """Answers the commands about refits and versions, for the partitions that this worker owns."""

    def __init__(self, refitting: Refitting, owned: Mapping[Partition, Owned], parameters: Parameters) -> None:
        self._refitting = refitting
        self._owned = owned
        self._parameters = parameters

    def register(self, commands: Commands) -> None:
        """Let them be asked."""
        commands.register("refit", self.refit)
        commands.register("model list", self.list_)
        commands.register("model diff", self.diff)
        commands.register("model rollback", self.roll_back)

    def refit(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Ask for a refit of `partition`, or of all; `algorithm` may differ from the configured one."""
        algorithm = payload.get("algorithm")
        if algorithm not in {None, "dbscan", "hierarchical", "kmeans"}:
            message = f"{algorithm!r} is no algorithm; expected dbscan, hierarchical or kmeans"
            raise CommandError(message)
        parameters = replace(self._parameters, algorithm=algorithm) if algorithm else None
        chosen = self._chosen(payload)
        for owned in chosen:
            self._refitting.request(owned, parameters)
        return {"asked": [str(owned.partition) for owned in chosen]}

    def list_(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Tell the versions of each partition's model, its candidates and what was decided."""
        return {"partitions": [self._listed(owned) for owned in self._chosen(payload)]}

    def diff(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Compare two versions of each partition's model, `before` and `after` (the current one where absent)."""
        answers = []
        for owned in self._chosen(payload):
            before = self._kept(owned, payload.get("before"))
            after = self._kept(owned, payload["after"]) if payload.get("after") is not None else None
            current = owned.model.model_version if after is None else payload["after"]
            entities = _compared(owned, before, after)
            answers.append(
                {
                    "partition": str(owned.partition),
                    "before": payload["before"],
                    "after": current,
                    "entities": entities,
                }
            )
        return {"partitions": answers}

    def roll_back(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Put version `to` back in force; where several partitions are owned, `partition` has to be named."""
        chosen = self._chosen(payload)
        if len(chosen) > 1:
            names = ", ".join(str(owned.partition) for owned in chosen)
            message = f"versions are counted per partition: name one of {names} (--partition)"
            raise CommandError(message)
        owned = chosen[0]
        version = self._kept(owned, payload.get("to"))
        record = self._refitting.roll_back(owned, int(payload["to"]), version)
        return {"partition": str(owned.partition), "to": payload["to"], "at_block": record.boundary}

    def _chosen(self, payload: dict[str, Any]) -> list[Owned]:
        name = payload.get("partition")
        chosen = [owned for _, owned in sorted(self._owned.items()) if name in {None, str(owned.partition)}]
        if not chosen:
            message = f"{name}: not a partition of this daemon" if name else "this daemon owns no partition yet"
            raise NotMineError(message)
        return chosen

    def _listed(self, owned: Owned) -> dict[str, Any]:
        model, told = owned.model, records(owned)
        window = model.beside.window
        return {
            "partition": str(owned.partition),
            "version": model.model_version,
            "since": model.born if np.isfinite(model.born) else None,
            "state": self._refitting.state(owned),
            "window_rows": sum(len(s.rows) for s in window.normal(1).values()) if window else 0,
            "kept_apart_rows": sum(len(s.rows) for s in window.apart().values()) if window else 0,
            "kept": sorted(kept_versions(owned)),
            "history": [_told(record) for record in told],
        }

    def _kept(self, owned: Owned, number: object) -> Version:
        kept = kept_versions(owned)
        if not isinstance(number, int) or number not in kept:
            known = ", ".join(map(str, sorted(kept))) or "none yet"
            message = (
                f"{owned.partition}: no version {number} is kept (kept: {known}; in force: "
                f"{owned.model.model_version}); `detector model list` tells more"
            )
            raise CommandError(message)
        return kept[number]


def kept_versions(owned: Owned) -> dict[int, Version]:
    """Return the versions that can be put in force again, by number: not those of a model of another form."""
    now = form_digest(owned.model.detection)
    return {
        int(record.payload["made_for"]): Version.from_payload(record.payload["replaced"])
        for record in records(owned)
        if "replaced" in record.payload and record.payload.get("form") == now
    }


def _told(record: ControlRecord) -> dict[str, Any]:
    told = {name: value for name, value in record.payload.items() if name not in STATES}
    makes = (
        record.payload["made_for"] + 1
        if "version" in record.payload and record.kind is not ControlKind.CANDIDATE
        else None
    )
    return {"kind": record.kind.value, "at_block": record.boundary, "makes": makes, **told}


def _compared(owned: Owned, before: Version, after: Version | None) -> list[dict[str, Any]]:
    """Compare versions entity by entity, on the scale that the model has now; `after` None is the model as it is."""
    model = owned.model
    if after is None:
        slots = model.slots.look_up(before.entities)
        known = np.flatnonzero(slots >= 0)
        after = Version.of(model.bank, slots[known], [before.entities[i] for i in known.tolist()])
    compared = []
    for i, entity in enumerate(before.entities):
        slot = model.slots.resident.get(entity, -1)
        if slot < 0 or entity not in after.entities:
            continue
        j = after.entities.index(entity)
        means, variances = model.bank.means[slot], model.bank.variances[slot]
        mine, other = before.masses[i] > 0, after.masses[j] > 0
        z = standardised(before.centroids[i][mine], means, variances)
        to = standardised(after.centroids[j][other], means, variances)
        moved = np.sqrt(((z[:, None] - to) ** 2).sum(2)).min(1)
        compared.append(
            {
                "entity": entity or None,
                "centroids": [int(mine.sum()), int(other.sum())],
                "moved_mean": round(float(np.average(moved, weights=before.masses[i][mine])), 3),
                "moved_most": round(float(moved.max()), 3),
                "usual_distance": [round(float(v.sketches[k, 0, 0]), 3) for v, k in ((before, i), (after, j))],
            }
        )
    return sorted(compared, key=lambda each: -float(each["moved_mean"]))
