from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.notification import Scene


@pytest.fixture
def new_scene(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    """Make scenes that are opened at once, unless `opened=False`, and closed at the end."""
    scenes: list[Scene] = []

    def make(*, opened: bool = True, **settings: Any) -> Scene:
        scene = Scene(tmp_path / f"store-{len(scenes)}", **settings)
        scenes.append(scene)
        if opened:
            scene.open()
        return scene

    yield make
    for scene in scenes:
        if scene.is_open:
            scene.close()
        scene.partition.close()
