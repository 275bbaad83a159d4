"""No secret is told: a daemon runs with a marked one in every field that holds any; all that it wrote is searched."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from detector.cli.main import app
from detector.config.sections import Config, Secret
from detector.config.suggest import _sections
from tests.support.broker import free_port
from tests.support.daemon import NOT_SHIPPED, Daemon
from tests.support.load import FEATURES
from tests.support.receiver import LOOPBACK, Answer, Authority, Receiver

NUMBER = "47110815"
"""Every secret holds it, and nothing else does."""
SIGNING = "whsec_" + base64.b64encode(f"signing-{NUMBER}-signing-{NUMBER}".encode()).decode()
BASIC = base64.b64encode(f"alice:password-{NUMBER}".encode()).decode()
MARKS = [NUMBER, SIGNING.removeprefix("whsec_"), BASIC]
"""What must be found nowhere: the number, and secrets in the forms in which they travel."""


def marked(name: str) -> str:
    return f"{name}-{NUMBER}"


# --- which fields hold secrets, and which the configurations below have


def secret_fields() -> set[str]:
    return {
        f"{path}.{name}"
        for path, section in _sections(Config, "")
        for name, field in section.model_fields.items()
        if holds_secret(field.annotation)
    }


def holds_secret(annotation: Any) -> bool:
    return annotation is Secret or any(holds_secret(part) for part in get_args(annotation))


def marked_fields(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from marked_fields(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from marked_fields(inner, path)
    elif any(mark in str(value) for mark in MARKS):
        yield path
        yield path.rpartition(".")[0]  # the names of headers are free, and a secret may stand under `value` or `file`


# --- configurations


class Settings:
    """The configurations, whose receivers all refuse what they get and repeat the secrets that they were sent."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.dead = f"127.0.0.1:{free_port()}"
        cert, key = Authority(folder, "CA").issue("client", password=marked("key").encode())
        self.tls = {"cert_file": str(cert), "key_file": str(key), "key_password": marked("key")}

    def receiver(self, *echoed: str) -> str:
        answer = Answer(500, body=" ".join(echoed).encode())
        return self._stack.enter_context(Receiver(otherwise=answer)).url

    def file(self, name: str, text: str) -> dict[str, str]:
        (self.folder / f"{name}-{NUMBER}").write_text(text)
        return {"file": str(self.folder / f"{name}-{NUMBER}")}

    def kafka(self, **sasl: Any) -> dict[str, Any]:
        return {"bootstrap_servers": self.dead, "request_timeout": "1s", "tls": self.tls, "sasl": sasl}

    def sinks(self) -> list[dict[str, Any]]:
        common = {"allow_networks": LOOPBACK, "tls": self.tls, "headers": {"X-Key": marked("header")}}
        webhook = self.receiver(marked("header")).replace("http://", f"http://alice:{marked('url')}@")
        hub = {"kind": "alertmanager", **common}
        return [
            {
                "kind": "webhook",
                "url": f"{webhook}/{marked('path')}?token={marked('query')}",
                "secrets": [SIGNING],
                **common,
            },
            {**hub, "name": "basic", "url": self.receiver(BASIC), "username": "alice", "password": marked("password")},
            {
                **hub,
                "name": "bearer",
                "url": self.receiver(marked("token")),
                "token": self.file("token", marked("token")),
            },
            {
                "kind": "apprise",
                "url": self.receiver().replace("http://", f"json://alice:{marked('apprise')}@"),
                "allow_networks": LOOPBACK,
            },
        ]

    def of_file(self) -> dict[str, Any]:
        """Read a file with faults, and a line that is none."""
        events = self.folder / "events.jsonl"
        events.write_text("".join(lines()))
        return {
            "source": {"kind": "file", "path": str(events), "topic": "events"},
            "kafka": self.kafka(mechanism="PLAIN", username="alice", password=marked("password")),
            "sinks": self.sinks(),
            "dead_letters": {"topic": "dead"},
            "http": {"port": 0, "reload_token": marked("reload")},
            "log": {"level": "debug"},
        }

    def of_kafka(self) -> dict[str, Any]:
        """Read from a broker that is away, with a schema registry and a token endpoint."""
        endpoint = self.receiver(marked("client")) + f"/{marked('path')}"
        registry = {
            "url": f"https://bob:{marked('url')}@{self.dead}/{marked('path')}",
            "username": "bob",
            "password": marked("registry"),
            "tls": self.tls,
            "timeout": "1s",
        }
        return {
            **self.of_file(),
            "source": {"kind": "kafka", "topics": "events"},
            "kafka": self.kafka(
                mechanism="OAUTHBEARER", token_url=endpoint, client_id="alice", client_secret=marked("client")
            ),
            "events": {"format": "avro", "features": list(FEATURES), "registry": registry},
        }

    def with_token(self) -> dict[str, Any]:
        """Log in to the broker with a token."""
        sasl = {"mechanism": "OAUTHBEARER", "token": marked("token")}
        return {**self.of_kafka(), "kafka": self.kafka(**sasl)}


def lines() -> Iterator[str]:
    rng = np.random.default_rng(1)
    for second in range(1200):
        values = rng.normal(100.0, 3.0, len(FEATURES)) * (3.0 if second > 600 and second % 100 == 0 else 1.0)
        metrics = dict(zip(FEATURES, values.tolist(), strict=True))
        yield json.dumps({"host": "a", "timestamp": 1000 * (1_790_000_000 + second), "metrics": metrics}) + "\n"
    yield "no JSON\n"


# --- what it says


def told(*arguments: str) -> str:
    """Run a command; return all that it says, its error's text too."""
    done = CliRunner().invoke(app, arguments)
    assert done.exception is None or not isinstance(done.exception, (TypeError, AttributeError)), done.exc_info
    return f"{arguments}\n{done.output}\n{'' if done.exception is None else done.exception}\n"


def answers(daemon: Daemon) -> str:
    pages = ("", "metrics", "readyz", "healthz")
    return "\n".join(daemon.get(path).text for path in pages)


def commands(folder: Path, config: Path, store: Path) -> Iterator[str]:
    where = ("--store", str(store))
    yield told("check", "--connect", "--config", str(config))
    yield told("schema")
    for name in ("webhook", "basic", "bearer", "apprise"):
        yield told("alert", "test", "--sink", name, "--config", str(config))
    yield told("status", *where)
    yield told("state", "show", *where)
    yield told("state", "check", *where)
    yield told("state", "export", "events/0", str(folder / "export"), *where)
    yield told("outbox", "list", *where)
    listed = CliRunner().invoke(app, ["outbox", "list", "--json", *where]).stdout
    messages = json.loads(listed)["messages"]
    assert messages, "what waits is shown"
    for message in messages[:5]:
        yield told("outbox", "show", message["id"], *where)
    yield told("outbox", "retry", "--sink", "webhook", *where)
    yield told("outbox", "drop", "--sink", "bearer", *where)
    yield (folder / "export").read_bytes().decode(errors="replace")


def found(text: str) -> list[str]:
    """Return the lines that tell a secret."""
    return [line for line in text.splitlines() if any(mark in line for mark in MARKS)]


def test_no_secret_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        settings = Settings(tmp_path, stack)
        given = [settings.of_file(), settings.of_kafka(), settings.with_token()]
        assert secret_fields() <= {path for config in given for path in marked_fields(config)}, "mark them all"

        monkeypatch.setenv("COLUMNS", "400")
        daemon = Daemon(tmp_path / "daemon", {}, NOT_SHIPPED)
        stack.callback(daemon.kill)
        daemon.replace(given[0])
        assert daemon.start().wait() == 0, daemon.text[-3000:]
        said = [daemon.text, *daemon.output]
        for code in ("500", "not_taken"):
            assert daemon.said("receiver_down", code=code), "or nothing was sent that could have been told"

        daemon.replace(given[1])
        daemon.start().until_blocked("source")
        said += [answers(daemon), *commands(tmp_path, daemon.file, daemon.store)]
        daemon.terminate()
        said += [daemon.text, *daemon.output]

        broken = tmp_path / "broken.yaml"
        no_key = {"tls": {**settings.tls, "key_password": marked("wrong")}}
        wrong = [
            given[2],
            {**given[0], "dead_letters": {}, "source": {"kind": "computer"}, "sinks": [given[0]["sinks"][0] | no_key]},
            {**given[0], "sinks": [{"kind": "webhook", "url": marked("url"), "secrets": [marked("signing")]}]},
            {**given[0], "sinks": [{"kind": "apprise", "url": marked("nothing")}, {"kind": marked("kind")}][:1]},
            {**given[0], "http": {"reload_token": {"file": "/no/such/file", "value": marked("reload")}}},
        ]
        shipped = yaml.safe_load(daemon.file.read_text(encoding="utf-8"))
        for config in wrong:
            broken.write_text(yaml.safe_dump({**shipped, **config}), encoding="utf-8")
            said += [told("check", "--connect", "--config", str(broken))]
            said += [told("alert", "test", "--sink", "apprise", "--config", str(broken))]
    kept = {path: path.read_bytes() for path in daemon.store.rglob("*") if path.is_file()}
    whole = "\n".join(said)
    assert settings.dead in whole, "what is no secret is told"
    assert found(f"a\n{SIGNING}\n{marked('b')}\n") == [SIGNING, marked("b")]
    assert found(whole.replace(str(tmp_path), "")) == []
    assert [path for path, held in kept.items() if any(mark.encode() in held for mark in MARKS)] == []
