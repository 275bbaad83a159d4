"""What a preset stands for in the daemon's configuration."""

from __future__ import annotations

from typing import Any, Literal

Preset = Literal["metrics", "events"]


def sections(preset: Preset) -> dict[str, Any]:
    """Return the part of a configuration document that turns a preset on: the one place that knows how."""
    return {"preset": preset}
