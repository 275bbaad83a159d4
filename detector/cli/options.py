"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path,
    typer.Option("--config", "-c", metavar="FILE", envvar="DETECTOR_CONFIG", help="The configuration (YAML)."),
]

DEFAULT_CONFIG = Path("config.yaml")
