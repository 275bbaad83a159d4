"""`detector reload`: a running daemon reads its configuration anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detector.cli.live import DEFAULT_TIMEOUT, Json, StoreFolder, Timeout, asked, show
from detector.cli.options import DEFAULT_CONFIG, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Iterator


def reload(
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    as_json: Json = False,
) -> None:
    """Have the daemon read its configuration file anew, as SIGHUP and `POST /-/reload` do, and tell what changed.

    It is taken whole or not at all: where anything is wrong, or cannot change while the daemon runs, all stays as it
    was. Each daemon of the store's folder reads the file that it was started with.
    """
    answers = asked("reload", store=store, config=config, seconds=timeout)
    told = {"daemons": [{"pid": answer.pid, **answer.result} for answer in answers]}
    show(told, (line for each in told["daemons"] for line in _lines(each)), as_json=as_json)


def _lines(told: dict[str, Any]) -> Iterator[str]:
    yield f"process {told['pid']}"
    for name, text in _facts(told):
        yield f"  {name:<16} {text}"


def _facts(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "changed at once", ", ".join(told["at_once"]) or "nothing"
    if told["at_boundary"]:
        yield "at the boundary", ", ".join(told["at_boundary"])
    for each in told["partitions"]:
        yield each["partition"], f"from block {each['at_block']:,} on"
