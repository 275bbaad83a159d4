"""What a preset stands for in the daemon's configuration, and what the command line puts in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from detector.config.document import Document, dotted
from detector.config.explain import problems
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
        place: Any = read
        for key in keys[:-1]:
            place = place.setdefault(key, {}) if isinstance(place, dict) else None
        try:
            if not isinstance(place, dict):
                message = f"--set {text}: another --set gives `{'.'.join(keys[:-1])}` a value that holds no keys"
                raise ConfigError(message)
            place[keys[-1]] = yaml.safe_load(value)
            Config.model_validate(_PLAIN | read)
        except yaml.YAMLError as error:
            message = f"--set {text}: {' '.join(str(error).split())}"
            raise ConfigError(message) from None
        except ValidationError as error:
            problem = problems(error, Document(_PLAIN | read))[0]
            message = f"--set {text}: {dotted(problem.path)}: {problem.text}"
            raise ConfigError(message) from None
    return read
