"""Times as operators write and read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import typer

NEVER = "never"


def moment(seconds: float | None) -> str:
    """Return epoch seconds as people read them, in UTC."""
    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def at_or_in(given: str | None, option: str) -> dict[str, Any]:
    """Return what a time says: {"until": epoch seconds}, {"span": seconds} or {"forever": True}; {} of none.

    Raises typer.BadParameter, which names the option, where it is neither RFC 3339 nor a duration nor `never`.
    """
    from detector.config.units import instant, seconds  # noqa: PLC0415 - pydantic is slow to import

    if given is None:
        return {}
    if given == NEVER:
        return {"forever": True}
    try:
        return {"until": instant(given)} if "-" in given else {"span": float(str(seconds(given)))}
    except ValueError as error:
        message = f"{option} {given!r}: expected a time such as 2026-12-24T00:00:00Z, a duration such as 7d, or never"
        raise typer.BadParameter(message) from error
