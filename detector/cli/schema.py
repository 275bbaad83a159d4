"""`detector schema`: the JSON Schema of the configuration, and those of what is sent."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer


class Subject(StrEnum):
    """What there is a schema of."""

    CONFIG = "config"
    ALERT = "alert"
    NOTIFICATION = "notification"


def schema(
    of: Annotated[
        Subject,
        typer.Argument(help="config; an alert, as direct sinks get it; or a notification, a message for people."),
    ] = Subject.CONFIG,
) -> None:
    """Print a JSON Schema: of the configuration, for editors, or of what is sent.

    With the YAML language server: detector schema > detector.schema.json, and as the first line of the configuration
    `# yaml-language-server: $schema=detector.schema.json`.
    """
    # Each here, as pydantic is slow to import, and `--help` needs none of it.
    match of:
        case Subject.CONFIG:
            from detector.config.schema import schema as build  # noqa: PLC0415
        case Subject.ALERT:
            from detector.alerts.body import schema as build  # noqa: PLC0415
        case Subject.NOTIFICATION:
            from detector.notification.message import schema as build  # noqa: PLC0415
    typer.echo(json.dumps(build(), indent=2))
