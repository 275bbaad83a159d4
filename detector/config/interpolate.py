"""Environment variables inside text: `${NAME}`, `${NAME:-default}`; `$${` stands for a plain `${`."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Put the values of environment variables in; a default stands in for one that is unset or empty.

    Values are taken as they are: a `${` inside them is not looked at again. Raises ValueError for a variable that is
    not set and has no default, and for a `${` that is not closed or holds no name.
    """

    def put(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name, default = match["name"], match["default"]
        if name is None:
            message = "expected ${NAME} or ${NAME:-default}; write $${ for a plain ${"
            raise ValueError(message)
        value = environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            message = f"environment variable {name} is not set; set it, or give a default as ${{{name}:-default}}"
            raise ValueError(message)
        return value

    return _REFERENCE.sub(put, text)
