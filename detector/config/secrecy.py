"""Which names hold secrets, so that their values are never printed: neither in errors nor in the log."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MASK = "(not shown)"

_SECRET = re.compile(
    r"pass(word|wd|phrase)|secret|token|credential|api[-_]?key|authori[sz]ation|cookie|private[-_]?key|signature|(^|_)pw$",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"_(file|url|path)$", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Tell whether a key of this name holds a secret; `token_url` and `key_file` name places, not secrets."""
    return bool(_SECRET.search(name)) and not _HARMLESS.search(name)


def shown_url(url: str) -> str:
    """Return scheme, host and port of a URL alone: user, path and query may each hold a token."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return MASK
    if not host:
        return MASK
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"
