"""`python -m detector.refit CPU MEMORY THREADS`: a task on standard input, its answer on standard output."""

from __future__ import annotations

import sys

from detector.refit.limits import Limits, impose


def main() -> None:
    """Bind this process, then read, fit and answer."""
    cpu, memory, threads = sys.argv[1:]
    limits = Limits(cpu=float(cpu), memory=int(memory), threads=int(threads))
    impose(limits)
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - within the limits

    from detector.refit import wire  # noqa: PLC0415 - likewise
    from detector.refit.fitting import fit  # noqa: PLC0415 - likewise

    windows, parameters = wire.read_task(sys.stdin.buffer.read())
    with threadpool_limits(limits.threads):
        candidates = [fit(window, parameters) for window in windows]
    sys.stdout.buffer.write(wire.answer(candidates))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
