"""From a YAML file to a :class:`Config`, or to one error that lists everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from detector.config import document, explain, files
from detector.config.document import Document, Problem
from detector.config.interpolate import interpolate
from detector.config.sections import Config, Section, Tls, WebhookSink
from detector.config.webhook import header_value, signing_key
from detector.errors import ConfigError


def load(path: Path, *, environ: Mapping[str, str] = os.environ) -> Config:
    """Read, interpolate and validate a file, and see that the files it names (secrets, certificates) can be read.

    Raises ConfigError, whose text has a line for each problem: file, line, YAML path, what was found and what was
    expected. It never holds the value of a secret.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{path}: not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
        raise ConfigError(message) from None
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}; give the configuration with --config FILE"
        raise ConfigError(message) from None
    return parse(text, str(path), environ=environ)


def parse(text: str, name: str, *, environ: Mapping[str, str] = os.environ) -> Config:
    """Do what `load` does with text already read; `name` stands for the file in errors."""
    read = document.read(text, name, lambda scalar: interpolate(scalar, environ))
    if not isinstance(read.value, dict):
        message = f"{name}:{read.line(())}: expected a mapping with `source` and `events`, found " + (
            "nothing" if read.value is None else "something else"
        )
        raise ConfigError(message)
    problems = list(read.problems)
    config = None
    try:
        config = Config.model_validate(read.value)
    except ValidationError as error:
        known = {problem.path for problem in problems}
        problems += [problem for problem in explain.problems(error, read) if problem.path not in known]
    else:
        problems += list(_unreadable(config, read)) or list(_unusable(config, read))
    if config is None or problems:
        raise ConfigError("\n".join(_line(name, problem) for problem in sorted(problems, key=lambda p: p.line)))
    return config


def _line(name: str, problem: Problem) -> str:
    path = document.dotted(problem.path)
    return f"{name}:{problem.line}: {path}: {problem.text}" if path else f"{name}:{problem.line}: {problem.text}"


def _unreadable(config: Config, read: Document) -> Iterator[Problem]:
    """Yield a problem for each file that the configuration names (`file`, `..._file`) and that cannot be read."""
    for path, file in files.named(config):
        try:
            with file.open("rb"):
                pass
        except OSError as error:
            yield Problem(read.line(path), path, f"cannot read {file}: {error.strerror}")


def _unusable(config: Config, read: Document) -> Iterator[Problem]:
    """Yield a problem for each certificate, key, signing secret or header that a file holds and that cannot be used."""
    for path, section in _sections(config, ()):
        if isinstance(section, Tls) and section != Tls():
            from detector.config.tls import tls_context  # noqa: PLC0415 - it imports ssl, and only TLS needs it

            try:
                tls_context(section, document.dotted(path))
            except ConfigError as error:
                yield Problem(read.line(path), (), str(error))
        elif isinstance(section, WebhookSink):
            secrets = [((*path, "secrets", n), secret, signing_key) for n, secret in enumerate(section.secrets)]
            headers = [((*path, "headers", name), value, header_value) for name, value in section.headers.items()]
            for place, secret, judge in (*secrets, *headers):
                try:
                    judge(secret.reveal())
                except ValueError as error:
                    yield Problem(read.line(place), place, str(error))


def _sections(value: object, path: document.Path) -> Iterator[tuple[document.Path, Section]]:
    if isinstance(value, Section):
        yield path, value
        for name in type(value).model_fields:
            yield from _sections(getattr(value, name), (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _sections(inner, (*path, number))
