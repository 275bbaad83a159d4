from __future__ import annotations

from collections.abc import Callable

from detector.notification.rules import Way
from detector.types import Outcome
from tests.support.notification import Scene, alert


def test_what_a_receiver_refused_is_sent_again_while_it_is_open(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(opened=False)
    scene.ways = {"stream": Way("stream", direct=True, resend=60.0), "page": Way("page", direct=False)}
    scene.open()
    stream = scene.sinks["stream"]
    stream.outcome = Outcome.REFUSED
    scene.raise_(alert("e"))
    scene.turn(60)
    stream.outcome = Outcome.DELIVERED
    scene.turn(60)
    assert stream.ids == [alert("e").id]
    scene.raise_(alert("e", 2, "resolve"))
    scene.turn(60)
    assert stream.ids == [alert("e").id, alert("e", 2).id]
