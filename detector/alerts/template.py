"""A template of the operator's own for what a sink sends: Jinja2, sandboxed and bounded.

What it fills in comes from outside (entities), so it must never be run as a template itself, and a template that runs
away must not take the daemon with it. The bounds hold for whatever is written in the template language; a single
operation of Python's inside a filter is not interrupted.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    from jinja2.runtime import Context

OUTPUT_LIMIT = 256 << 10
"""The longest text that a template may make, in characters."""
TIME_LIMIT = 1.0
"""Seconds that it may take."""
_REPEATS = 100_000
_POWER = 1 << 16


class UnusableTemplateError(Exception):
    """A template is none, or cannot be filled in, or takes too long or too much: one line why."""


class Template:
    """One template."""

    def __init__(self, text: str, seconds: float = TIME_LIMIT) -> None:
        """Compile; UnusableTemplateError where it is no template."""
        self._seconds = seconds
        try:
            self._template = _Sandbox(undefined=StrictUndefined, keep_trailing_newline=True).from_string(text)
        except TemplateError as error:
            raise UnusableTemplateError(_said(error)) from None

    def render(self, values: dict[str, Any]) -> str:
        """Fill in; UnusableTemplateError where that fails or goes beyond a bound."""
        try:
            with _Deadline(self._seconds):
                return _bounded(self._template.generate(values))
        except UnusableTemplateError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a template does to the values is the template's fault
            raise UnusableTemplateError(_said(error)) from None


def _bounded(parts: Iterable[str]) -> str:
    made, size = [], 0
    for part in parts:
        made.append(part)
        size += len(part)
        if size > OUTPUT_LIMIT:
            message = f"it makes more than {OUTPUT_LIMIT} characters"
            raise UnusableTemplateError(message)
    return "".join(made)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Refuses, beside what Jinja2's own does, to make huge values by multiplying."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
        if operator == "**" and numbers and max(abs(left), abs(right)) > _POWER:
            message = f"a power beyond {_POWER}"
            raise SecurityError(message)
        if operator == "*" and not numbers and max(_size(left), _size(right)) > _REPEATS:
            message = f"more than {_REPEATS} repetitions"
            raise SecurityError(message)
        if operator == "%" and not numbers:
            message = "% on text; use ~ to join"
            raise SecurityError(message)
        return super().call_binop(context, operator, left, right)


def _size(value: Any) -> float:
    return abs(value) if isinstance(value, (int, float)) else len(value)


class _Deadline:
    """Interrupts Python code that runs inside the block, on this thread, once the time is over.

    A tracing function is called at each line, also in loops that say nothing; a timer could not end them.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = 0.0
        self._before = sys.gettrace()

    def __enter__(self) -> None:
        self._end = time.monotonic() + self._seconds
        sys.settrace(self._traced)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _traced(self, frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ARG002 - Python calls it so
        if time.monotonic() > self._end:
            message = f"it takes longer than {self._seconds:g} s"
            raise UnusableTemplateError(message)
        return self._traced


def _said(error: Exception) -> str:
    """Return the error in one line; what a template makes of its values may be long."""
    line = f"line {error.lineno}: " if isinstance(error, TemplateSyntaxError) else ""
    text = " ".join(str(error).split())[:200]
    return f"{line}{text}" if isinstance(error, TemplateError) else f"{type(error).__name__}: {text}"
