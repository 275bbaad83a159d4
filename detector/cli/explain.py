"""`detector explain`: why an event paged, or why not; from the store's files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.cli.live import Json, StoreFolder, folder, show
from detector.cli.options import DEFAULT_CONFIG, ConfigFile
from detector.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

    from detector.models.kept import Event
    from detector.store.told import Looked
    from detector.types import Partition

_PLACE = re.compile(r"(?P<topic>[^/]+)/(?P<partition>\d{1,10})/(?P<offset>\d{1,18})(/(?P<row>\d{1,10}))?", re.ASCII)


def explain(
    place: Annotated[
        str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET[/ROW]", help="Where the event stands, as alerts tell it.")
    ],
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    as_json: Json = False,
) -> None:
    """Tell why an event paged, or why not: its score, its features, what became of it, and who was told.

    Events with a score of 2 or more are kept (store.keep_events), in the store's files: they are read whether or not a
    daemon runs, which writes them with each alert and each checkpoint. Exits 2 where nothing is known of the event.
    """
    from detector.store import told  # noqa: PLC0415 - `--help` needs no store
    from detector.types import Partition  # noqa: PLC0415 - as above

    found = _PLACE.fullmatch(place)
    if found is None:
        message = (
            f"{place!r}: expected TOPIC/PARTITION/OFFSET, such as metrics/0/4711, and /ROW where a record has rows"
        )
        raise typer.BadParameter(message)
    path, partition = folder(store, config), Partition(found["topic"], int(found["partition"]))
    offset, row = int(found["offset"]), None if found["row"] is None else int(found["row"])
    looked = told.record(path, partition, offset)
    events = [event for event in looked.events if row in {None, event.position.row}]
    shown = {
        "topic": partition.topic,
        "partition": partition.number,
        "offset": offset,
        "events": [_document(path, partition, looked, event) for event in events],
        "rejected": [each for letter in looked.letters for each in _rejected(letter.rows, letter.reasons, row)],
    }
    if not shown["events"] and not shown["rejected"]:
        message = f"{place}: {_unknown(looked, offset)}"
        raise CommandError(message)
    if as_json:
        show(shown, [], as_json=True)
    else:
        _print(place, shown)


def _document(path: Path, partition: Partition, looked: Looked, event: Event) -> dict[str, Any]:
    from detector.alerts.words import rate_in_words  # noqa: PLC0415 - `--help` needs none of it
    from detector.cli.incident_view import document  # noqa: PLC0415 - as above
    from detector.cli.outcome import fate, outcome  # noqa: PLC0415 - as above

    identity = _incident(partition, looked, event)
    (came, why), (model, means) = outcome(event), fate(event)
    return {
        "row": event.position.row,
        "time": event.time,
        "entity": event.entity,
        "score": event.score,
        "at_least": event.at_least,
        "rate_words": None if event.score is None else rate_in_words(event.score, at_least=event.at_least),
        "threshold": event.threshold,
        "distance": event.distance,
        "since": event.since,
        "model_version": event.version,
        "block": event.block,
        "outcome": came,
        "outcome_words": why,
        "alone": event.alone,
        "spared_by": event.spared,
        "learning": model,
        "learning_words": means,
        "features": [feature._asdict() for feature in event.features],
        "incident": identity,
        "notification": _notified(path, identity, document),
    }


def _incident(partition: Partition, looked: Looked, event: Event) -> str | None:
    from detector.alerts.ids import alert_id  # noqa: PLC0415 - `--help` needs none of it

    return None if event.first is None else alert_id(looked.topic_id, partition, event.first, "anomaly")


def _notified(path: Path, identity: str | None, document: Any) -> dict[str, Any] | None:
    from detector.store import told  # noqa: PLC0415 - `--help` needs no store

    found = [] if identity is None else told.incidents_of(path, identity=identity)
    return document(found[0]) if found else None


def _rejected(rows: tuple[int, ...], reasons: tuple[str, ...], row: int | None) -> list[dict[str, Any]]:
    numbers: tuple[int | None, ...] = rows or (None,)
    both = zip(numbers, reasons, strict=False)
    return [{"row": at, "reason": reason} for at, reason in both if row is None or at in {None, row}]


def _unknown(looked: Looked, offset: int) -> str:
    """Say why nothing is known of a record."""
    if looked.reached is None or looked.reached.offset <= offset:
        reached = "no checkpoint yet" if looked.reached is None else f"offset {looked.reached.offset:,}"
        return (
            f"not read yet, or since the last checkpoint, which is at {reached}: ask again behind the next one "
            "(checkpoint.interval)"
        )
    kept = "none are kept" if looked.span is None else f"those of offsets {looked.span[0]:,} to {looked.span[1]:,} are"
    return (
        "no event of it is kept: its score was under 2 (more than 1 of 100 normal events is as far out), it was not "
        f"scored, or it was long ago (store.keep_events; {kept})"
    )


def _print(place: str, shown: dict[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import

    from detector.cli.bars import Line, table  # noqa: PLC0415 - as above
    from detector.cli.explain_view import facts  # noqa: PLC0415 - as above

    console = Console(highlight=False)
    for each in shown["rejected"]:
        row = "" if each["row"] is None else f", row {each['row']}"
        console.print(f"{place}{row}: rejected, {each['reason']} (`detector state dead-letters`)", markup=False)
    for event in shown["events"]:
        for name, text in facts(place, event):
            console.print(f"{name:<10} {text}", markup=False, soft_wrap=True)
        console.print()
        console.print(
            table([Line(f["name"], f["unit"], f["observed"], f["expected"], f["share"]) for f in event["features"]])
        )
