"""`detector schema`: the JSON Schema of the configuration."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of the configuration, for editors.

    With the YAML language server: detector schema > detector.schema.json, and as the first line of the configuration
    `# yaml-language-server: $schema=detector.schema.json`.
    """
    from detector.config.schema import schema as build  # noqa: PLC0415 - pydantic is slow to import

    typer.echo(json.dumps(build(), indent=2))
