"""What the bits of scores depend on beside the log."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import numpy as np

from detector.models.program.tensors import tf


def fingerprint() -> str:
    """Name what the bits depend on beside the log: TensorFlow and NumPy, the instruction set, this program."""
    source = hashlib.blake2b(_source(), digest_size=4).hexdigest()
    return f"tensorflow {tf.__version__}, numpy {np.__version__}, {_instruction_set()}, program {source}"


def _instruction_set() -> str:
    """Return the vector extensions that change how sums and logarithms are rounded."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:  # noqa: PTH123 - a device file
            flags = next((line.split() for line in lines if line.startswith("flags")), [])
    except OSError:
        flags = []
    return "+".join([platform.machine(), *(flag for flag in ("fma", "avx2", "avx512f") if flag in flags)])


def _source() -> bytes:
    return b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
