from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from detector.alerts.exchange import Exchange
from detector.config.sections import Config
from detector.errors import ConfigError
from detector.protocols import Sink
from tests.support.alerts import SECRET

SMALLEST = {"source": {"kind": "computer"}, "events": {"features": ["a"]}}


def config(*sinks: dict[str, Any]) -> Config:
    return Config.model_validate(SMALLEST | {"sinks": list(sinks)})


def webhook(name: str, url: str = "http://192.0.2.1/", **given: Any) -> dict[str, Any]:
    return {"kind": "webhook", "name": name, "url": url, **given}


class Replaced:
    def __init__(self) -> None:
        self.sinks: Sequence[Sink] = ()

    def __call__(self, sinks: Sequence[Sink]) -> None:
        self.sinks = sinks


def built(*sinks: dict[str, Any]) -> Exchange:
    return Exchange(config(*sinks), lambda _: None)


def test_only_what_changes_is_built_anew_and_counts_once_it_is_applied() -> None:
    exchange, replaced = built(webhook("a"), webhook("b")), Replaced()
    a, b = exchange.sinks
    prepared = exchange.prepare(config(webhook("b", "http://192.0.2.2/"), webhook("a"), webhook("c")), replaced)
    assert exchange.sinks == [a, b]
    assert prepared.changed == []
    prepared.apply()
    assert [sink.name for sink in replaced.sinks] == ["b", "a", "c"]
    assert replaced.sinks[1] is a
    assert replaced.sinks[0] is not b
    assert exchange.sinks == list(replaced.sinks)


def test_a_secret_that_was_rotated_in_its_file_changes_its_sink_alone(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET, encoding="utf-8")
    sinks = (webhook("a", secrets=[{"file": file}]), webhook("b"))
    exchange, replaced = built(*sinks), Replaced()
    a, b = exchange.sinks
    prepared = exchange.prepare(config(*sinks), replaced)
    assert prepared.changed == []
    prepared.apply()
    assert list(replaced.sinks) == [a, b]
    file.write_text("whsec_" + "A" * 32, encoding="utf-8")
    prepared = exchange.prepare(config(*sinks), replaced)
    assert prepared.changed == ["sinks.a"]
    prepared.apply()
    assert replaced.sinks[0] is not a
    assert replaced.sinks[1] is b


def test_what_was_built_is_closed_where_nothing_comes_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from detector.alerts import webhook as module  # noqa: PLC0415 - to watch its sinks

    closed: list[str] = []
    monkeypatch.setattr(module.WebhookSink, "close", lambda sink: closed.append(sink.name))
    exchange, replaced = built(webhook("a")), Replaced()
    exchange.prepare(config(webhook("a"), webhook("b"), webhook("c")), replaced).discard()
    assert closed == ["b", "c"]
    closed.clear()
    missing = webhook("d", secrets=[{"file": tmp_path / "missing"}])
    with pytest.raises(ConfigError, match=r"sinks\[2\]: cannot read .*missing: No such file"):
        exchange.prepare(config(webhook("a"), webhook("b"), missing), replaced)
    assert closed == ["b"]
    assert replaced.sinks == ()
