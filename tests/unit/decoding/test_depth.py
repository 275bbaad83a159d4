from __future__ import annotations

import json

import pytest

from detector.decoding.depth import depth, too_deep


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b"", 0),
        (b"1", 0),
        (b"{}", 1),
        (b'{"a":[{}]}', 3),
        (b"[[],[],[[]]]", 3),
        (b'{"a":"[[[[{{{{"}', 1),
        (rb'{"a":"\"[[[[","b":[]}', 2),
        (rb'{"a":"\\","b":[[]]}', 3),
        (rb'{"a\"{":"\\\"[[["}', 1),
    ],
)
def test_depth_counts_nesting_outside_of_text(document: bytes, expected: int) -> None:
    assert depth(document) == expected


def test_a_wide_document_is_not_deep() -> None:
    document = json.dumps([{"a": [1]}] * 1000).encode()
    assert too_deep(document, 2)
    assert not too_deep(document, 3)


def test_a_million_brackets_are_too_deep() -> None:
    assert too_deep(b"[" * 1_000_000, 256)
