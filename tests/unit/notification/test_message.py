from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from detector.notification import message
from detector.types import Partition
from tests.support.notification import Scene, alert

VALID = jsonschema.Draft202012Validator(message.schema(), format_checker=jsonschema.FormatChecker())


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(message.schema())
    assert message.schema()["$id"] == f"urn:detector:notification:{message.SCHEMA_VERSION}"


def test_every_kind_of_message_is_as_the_schema_says(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(notification={"fleet": {"least": 3, "entities": 2}})
    scene.outward.know({Partition("orders", 3): 5})
    told: list[dict[str, Any]] = []
    scene.raise_(alert("old"), alert("old", 2, "resolve"))
    scene.turn(5)
    scene.raise_(alert("a\nb"))
    scene.turn(60)
    scene.turn(4 * 3600)
    scene.raise_(*(alert(f"e{n}") for n in range(4)))
    scene.turn(60)
    scene.raise_(*(alert(f"e{n}", 2, "resolve") for n in range(4)), alert("a\nb", 2, "resolve"))
    scene.turn(60)
    told = scene.got()
    for each in told:
        VALID.validate(each)
    assert [(m["status"], m["repeat"], m["fleet"] is not None, bool(m["similar"])) for m in told] == [
        ("resolved", False, False, False),
        ("firing", False, False, True),
        ("firing", True, False, True),
        ("firing", False, True, True),
        ("resolved", False, False, True),
    ]
    assert told[2]["summary"] == "still: a\\nb: cpu is high" or "\n" not in told[2]["summary"]


@pytest.mark.parametrize("field", VALID.schema["required"])
def test_a_message_that_lacks_a_field_is_none(new_scene: Callable[..., Scene], field: str) -> None:
    scene = new_scene()
    scene.raise_(alert("a"))
    scene.turn(5)
    (whole,) = scene.got()
    assert VALID.is_valid(whole)
    del whole[field]
    assert not VALID.is_valid(whole)
