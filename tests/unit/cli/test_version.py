from __future__ import annotations

from pathlib import Path

import pytest

from detector.cli.version import instruction_set


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("fpu sse4_2 avx avx2 fma avx512f", "AVX-512 with FMA"),
        ("fpu sse4_2 avx avx2 fma", "AVX2 with FMA"),
        ("fpu sse4_2", "SSE4.2 without FMA"),
    ],
)
def test_the_instruction_set_is_the_widest_that_the_processor_names(tmp_path: Path, flags: str, said: str) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nflags\t\t: {flags}\n\n")
    assert instruction_set(file) == said


def test_where_the_processor_says_nothing_the_machine_is_named(tmp_path: Path) -> None:
    assert instruction_set(tmp_path / "absent") != ""
