"""Java libraries that tests run: Maven fetches what a pom.xml names, once."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path


class MavenUnavailableError(Exception):
    """The jars cannot be had here; the text says why."""


def classpath(pom: Path) -> str:
    """Return the Java class path of what a pom.xml names; Maven fetches the jars at the first call."""
    if shutil.which("java") is None:
        message = "install Java 17 and Maven"
        raise MavenUnavailableError(message)
    known = pom.parent / "target" / "classpath.txt"
    known.parent.mkdir(exist_ok=True)
    with known.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of processes that test side by side one fetches, and the others wait
        if not _current(known, pom):
            _fetch(pom, known)
    return known.read_text(encoding="utf-8").strip()


def _current(known: Path, pom: Path) -> bool:
    if not known.exists() or known.stat().st_mtime <= pom.stat().st_mtime:
        return False
    jars = known.read_text(encoding="utf-8").strip().split(os.pathsep)
    return all(Path(jar).exists() for jar in jars)


def _fetch(pom: Path, known: Path) -> None:
    if shutil.which("mvn") is None:
        message = "install Maven, which fetches what is needed"
        raise MavenUnavailableError(message)
    fresh = known.with_suffix(".new")
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:build-classpath", f"-Dmdep.outputFile={fresh}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0 or not fresh.exists():
        message = f"Maven cannot fetch what {pom} names: {done.stdout[-500:]}"
        raise MavenUnavailableError(message)
    fresh.replace(known)
