from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from detector.store.sqlite import SqliteStore
from detector.types import Partition

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def partition() -> Partition:
    return Partition("orders", 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(folder: Path) -> SqliteStore:
    return SqliteStore(folder, keep_rejects=10)
