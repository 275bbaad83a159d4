"""What a preset stands for in the daemon's configuration, and what the command line puts in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from detector.config.sections import Config
from detector.errors import ConfigError

Preset = Literal["metrics", "events"]
Settings = Mapping[str, Any]
"""Sections of a configuration document that come before a preset's."""

_DECIDING = ("model", "blocks", "entities", "alerting")
_PLAIN = {"source": {"kind": "computer"}, "events": {"features": ["x"]}}


def sections(preset: Preset, settings: Settings) -> dict[str, Any]:
    """Return the part of a configuration document that turns a preset on: the one place that knows how."""
    return {"preset": preset, **settings}


def settings(given: Sequence[str]) -> Settings:
    """Read `SECTION.KEY=VALUE`s, the values being YAML; ConfigError where one is no setting that decides detection."""
    read = dict[str, Any]()
    for text in given:
        path, equals, value = text.partition("=")
        keys = path.strip().split(".")
        if not equals or len(keys) < 2 or keys[0] not in _DECIDING:
            message = (
                f"--set {text}: expected KEY=VALUE, the key beginning with {', '.join(k + '.' for k in _DECIDING)}"
            )
            raise ConfigError(message)
        place = read
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        try:
            place[keys[-1]] = yaml.safe_load(value)
            Config.model_validate(_PLAIN | read)
        except (yaml.YAMLError, ValidationError) as error:
            detail = error.errors()[0]["msg"] if isinstance(error, ValidationError) else " ".join(str(error).split())
            message = f"--set {text}: {detail}"
            raise ConfigError(message) from None
    return read
