"""`detector refit` and `detector model`: refits and versions of the models of a running daemon."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.cli.live import DEFAULT_TIMEOUT, Json, StoreFolder, Timeout, asked, partitions_of, show
from detector.cli.options import DEFAULT_CONFIG, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Iterator

PartitionName = Annotated[
    str | None, typer.Option("--partition", metavar="TOPIC/NUMBER", help="One partition, such as metrics/0; else all.")
]
Version = Annotated[int, typer.Argument(metavar="VERSION", help="A number that `detector model list` tells.")]

_LOOK_SECONDS = 0.5

app = typer.Typer(
    no_args_is_help=True,
    help="List the versions of a running daemon's models, compare them, and go back to an earlier one.",
    rich_markup_mode=None,
)


def refit(  # noqa: PLR0913 - options of a command
    partition: PartitionName = None,
    algorithm: Annotated[
        str | None, typer.Option(metavar="NAME", help="dbscan, hierarchical or kmeans; else the configured one.")
    ] = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the candidates are adopted or refused.")] = False,
    as_json: Json = False,
) -> None:
    """Cluster the recent rows of a running daemon anew, now.

    The result is a candidate: it scores the stream beside the model and is adopted if it passes, which `detector model
    list` tells, or --wait waits for.
    """
    asking = {"partition": partition, "algorithm": algorithm}
    answers = asked("refit", asking, store=store, config=config, seconds=timeout)
    names = [name for answer in answers for name in answer.result["asked"]]
    if wait:
        while any(each["state"] != "idle" for each in _listed(partition, store, config, timeout)):
            time.sleep(_LOOK_SECONDS)
    listed = [each for each in _listed(partition, store, config, timeout) if wait and each["partition"] in names]
    lines = [f"asked for a refit of {', '.join(names)}", *map(_outcome, listed)]
    show({"asked": names, "partitions": listed}, lines, as_json=as_json)


@app.command("list")
def list_(
    partition: PartitionName = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    as_json: Json = False,
) -> None:
    """List the versions of each model, its candidates, what was decided and why, and what refits found in hindsight."""
    partitions = _listed(partition, store, config, timeout)
    show({"partitions": partitions}, (line for each in partitions for line in _lines(each)), as_json=as_json)


@app.command()
def diff(  # noqa: PLR0913, PLR0917 - options of a command
    before: Version,
    after: Annotated[int | None, typer.Argument(metavar="[VERSION]", help="Else the one in force.")] = None,
    partition: PartitionName = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    as_json: Json = False,
) -> None:
    """Compare two versions: how far the centroids moved, in standard deviations, and what distance became usual."""
    asking = {"partition": partition, "before": before, "after": after}
    partitions = partitions_of(asked("model diff", asking, store=store, config=config, seconds=timeout))
    show({"partitions": partitions}, (line for each in partitions for line in _differences(each)), as_json=as_json)


@app.command()
def rollback(  # noqa: PLR0913 - options of a command
    version: Version,
    partition: PartitionName = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    as_json: Json = False,
) -> None:
    """Put an earlier version in force again, from the next block on; it gets a number of its own."""
    asking = {"partition": partition, "to": version}
    (answer,) = (each.result for each in asked("model rollback", asking, store=store, config=config, seconds=timeout))
    line = f"{answer['partition']}: version {version} is in force again from block {answer['at_block']:,} on"
    show(answer, [line], as_json=as_json)


def _listed(partition: str | None, store: Any, config: Any, seconds: float) -> list[dict[str, Any]]:
    return partitions_of(asked("model list", {"partition": partition}, store=store, config=config, seconds=seconds))


def _outcome(each: dict[str, Any]) -> str:
    last = each["history"][-1] if each["history"] else {}
    return f"{each['partition']}: {last.get('why', 'no candidate came of it; the log of the daemon tells why')}"


def _differences(each: dict[str, Any]) -> Iterator[str]:
    yield f"{each['partition']}: version {each['before']} against {each['after']}"
    for entity in each["entities"]:
        (had, has), (was, now) = entity["centroids"], entity["usual_distance"]
        yield (
            f"  {entity['entity'] or 'the partition'}: {had} centroids, then {has}; moved "
            f"{entity['moved_mean']:.2f} on average, {entity['moved_most']:.2f} at most; distance that 5 % exceed "
            f"{was:.2f}, then {now:.2f}"
        )


def _lines(each: dict[str, Any]) -> Iterator[str]:
    kept = f", kept: {', '.join(map(str, each['kept']))}" if each["kept"] else ""
    yield f"{each['partition']}: version {each['version']} since {_time(each['since'])} (event time){kept}"
    rows = f"{each['window_rows']:,} rows in the window, {each['kept_apart_rows']:,} kept apart"
    yield f"  refit: {each['state']}; {rows}"
    for record in each["history"]:
        head = f"  {_time(record['at'])}, block {record['at_block']:,}"
        match record["kind"]:
            case "candidate":
                clusters = ", ".join(
                    f"{n} {f'of {entity}' if entity else ''}".strip() for entity, n in record["clusters"].items()
                )
                yield (
                    f"{head}: candidate {record['candidate']} by {record['algorithm']} over {record['rows']:,} rows; "
                    f"clusters: {clusters}; noise {record['noise']:.1%}; agreement {record['agreement']:.1%}"
                )
                for finding in record["findings"]:
                    yield f"    in hindsight anomalous: {_finding(finding)}"
            case "decision":
                makes = f"; version {record['makes']}" if record["makes"] else ""
                yield f"{head}: candidate {record['candidate']} {record['why']}{makes}"
            case "rollback":
                yield f"{head}: rolled back to version {record['to']}; version {record['makes']}"


def _finding(finding: dict[str, Any]) -> str:
    entity = f"{finding['entity']}, " if finding["entity"] else ""
    return f"{entity}{_time(finding['time'])}, score {finding['score']:.1f}, {finding['values']}"


def _time(seconds: float | None) -> str:
    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
