"""The limits of the refit's process, which it sets for itself before it imports anything that could need more."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

_NICE = 10
"""So much lower is its priority: the pipeline goes first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a refit may use.

    cpu      seconds of processor time; memory bytes of address space, libraries included
    time     seconds from its start to its answer
    threads  of the libraries for linear algebra
    """

    cpu: float = 60.0
    memory: int = 2 << 30
    time: float = 300.0
    threads: int = 1


def environment(limits: Limits) -> dict[str, str]:
    """Return the environment to start in: thread pools are made when the libraries are loaded."""
    threads = str(limits.threads)
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "BLIS_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(pools, threads)}


def impose(limits: Limits) -> None:
    """Bind this process to the limits, as far as it is not bound more tightly already."""
    os.nice(_NICE)
    _lower(resource.RLIMIT_CPU, max(1, round(limits.cpu)))
    _lower(resource.RLIMIT_AS, limits.memory)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(kind: int, limit: int) -> None:
    _, hard = resource.getrlimit(kind)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (limit, hard))
