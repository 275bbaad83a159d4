"""How deep a JSON document nests, without parsing it."""

from __future__ import annotations

import re

import numpy as np

_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_UNSTRUCTURED = bytes(c for c in range(256) if c not in b'{}[]"')
_STEP = np.zeros(256, dtype=np.int32)
_STEP[list(b"{[")] = 1
_STEP[list(b"}]")] = -1
_QUOTE = ord('"')


def too_deep(document: bytes, limit: int) -> bool:
    """Tell whether objects and arrays nest deeper than `limit`; exact up to the first syntax error.

    Most documents open fewer of them than the limit altogether, which two counts tell.
    """
    return document.count(b"{") + document.count(b"[") > limit and depth(document) > limit


def depth(document: bytes) -> int:
    """Return the deepest nesting: 0 for a scalar, 1 for a flat object."""
    if b"\\" in document:
        document = _ESCAPED.sub(b"", document)
    structure = np.frombuffer(document.translate(None, _UNSTRUCTURED), dtype=np.uint8)
    inside_text = np.bitwise_and(np.cumsum(structure == _QUOTE, dtype=np.int32), 1)
    return int(np.cumsum(_STEP[structure] * (1 - inside_text), dtype=np.int32).max(initial=0))
