"""`detector version`: what runs here, without starting any of it."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import typer

from detector.version import __version__

_LIBRARIES = ("tensorflow", "numpy", "scikit-learn", "kafka-python")
_LEVELS = (("AVX-512", "avx512f"), ("AVX2", "avx2"), ("AVX", "avx"), ("SSE4.2", "sse4_2"))


def version() -> None:
    """Print the versions of detector, Python and the main libraries, and the processor's instruction set."""
    typer.echo(f"detector {__version__}")
    typer.echo(f"Python {platform.python_version()} ({platform.system()} {platform.machine()})")
    for library in _LIBRARIES:
        typer.echo(f"{library} {_installed(library)}")
    typer.echo(f"instruction set {instruction_set()}")


def _installed(library: str) -> str:
    from importlib import metadata  # noqa: PLC0415 - it takes 0.05 s, which `--help` and `check` need not wait for

    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def instruction_set(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the widest vector instructions that the processor has, and whether it has FMA.

    With FMA a replay gives the same bits on every such machine. Elsewhere than on Linux, the machine's name.
    """
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return platform.machine()
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    flags = set(found[1].split()) if found else set()
    widest = next((name for name, flag in _LEVELS if flag in flags), platform.machine())
    return f"{widest} with FMA" if "fma" in flags else f"{widest} without FMA"
