"""`detector outbox` and `detector alert test` as an operator gives them, with and without a daemon that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from typer.testing import CliRunner, Result

from detector.alerts import body
from detector.alerts.delivery import Delivery
from detector.alerts.webhook import WebhookSink
from detector.cli.main import app
from detector.config import sections
from detector.control import address
from detector.control.channel import Channel
from detector.control.commands import Commands
from detector.errors import CommandError, ConfigError, SinkError, StoreError
from detector.notification.message import schema
from detector.outbox_commands import OutboxCommands
from detector.store.sqlite import SqlitePartition, SqliteStore
from detector.telemetry.clock import SystemClock
from detector.types import Attempt, Outcome, Position
from tests.integration.test_cli import detector
from tests.support.alerts import PARTITION, SECRET, Counts, dead_letter_entry, entry
from tests.support.broker import wait_until
from tests.support.receiver import LOOPBACK, Answer, Receiver

SENT = [entry("webhook", 1), entry("webhook", 2), dead_letter_entry(4)]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def said(*arguments: str) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlitePartition]:
    """Hold a message that was refused, one that waits, and a dead letter."""
    with closing(SqliteStore(tmp_path, keep_rejects=10).open(PARTITION)) as partition:
        partition.commit_alerts(SENT, Position(1), 0)
        first, _ = partition.due("webhook", 1e12, 10)
        partition.settle([(first, Attempt(Outcome.REFUSED, "400", "http://h answered 400: no"), 0.0)])
        yield partition


@pytest.fixture
def folder(store: SqlitePartition, tmp_path: Path) -> str:
    del store
    return str(tmp_path)


def messages(folder: str) -> list[tuple[str, str]]:
    listed = json.loads(said("outbox", "list", "--store", folder, "--json"))
    assert listed["count"] == len(listed["messages"])
    return [(each["id"], each["state"]) for each in listed["messages"]]


def test_a_list_tells_what_waits_and_what_the_receiver_said(folder: str) -> None:
    lines = said("outbox", "list", "--store", folder).splitlines()
    assert lines[0] == "3 messages"
    assert lines[1].startswith(
        f"{SENT[0].id}  webhook  refused for 0 s; 1 attempt, last 400: http://h answered 400: no"
    )
    assert lines[2].startswith(f"{SENT[1].id}  webhook  queued for 0 s; 0 attempts  (metrics/3)")
    assert (
        said("outbox", "list", "--store", folder, "--state", "refused", "--limit", "1").splitlines()[0] == "1 message"
    )


def test_a_message_is_shown_whole(folder: str) -> None:
    text = said("outbox", "show", SENT[0].id, "--store", folder)
    assert '"summary": "host-7: cpu 97.1' in text
    (shown,) = json.loads(said("outbox", "show", SENT[2].id, "--store", folder, "--json"))["messages"]
    assert shown["body"]["record"] == "metrics/3/4"
    assert isinstance(run("outbox", "show", "nothing", "--store", folder).exception, CommandError)


def test_without_a_daemon_it_is_done_to_the_files(folder: str, store: SqlitePartition) -> None:
    assert said("outbox", "retry", SENT[0].id, "--store", folder) == "1 message will be tried again\n"
    assert {*messages(folder)} == {(each.id, "queued") for each in SENT}
    assert said("outbox", "drop", "--sink", "webhook", "--store", folder) == "2 messages dropped\n"
    assert messages(folder) == [(SENT[2].id, "queued")]
    assert store.due("webhook", 1e12, 10) == []


@pytest.mark.parametrize("command", ["retry", "drop"])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((SENT[0].id, "nosuch", "nor-this"), "nosuch, nor-this: no outbox of "),
        ((SENT[0].id, "--sink", "chat"), f"{SENT[0].id}: no outbox of "),
        ((SENT[0].id, "--state", "gone"), "holds a message of this id that is gone; none was touched"),
    ],
    ids=["id", "sink", "state"],
)
def test_a_message_that_is_not_there_is_named(folder: str, command: str, given: tuple[str, ...], told: str) -> None:
    before = messages(folder)
    error = run("outbox", command, *given, "--store", folder).exception
    assert isinstance(error, CommandError)
    assert told in str(error)
    assert messages(folder) == before


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_a_sink_for_which_nothing_waits_is_taken_for_a_mistake(folder: str, command: str) -> None:
    error = run("outbox", command, "--sink", "webhok", "--store", folder).exception
    assert isinstance(error, CommandError)
    assert str(error).startswith("webhok: nothing in ")
    assert str(error).endswith("those that are known: dead_letters, webhook")
    assert said("outbox", "list", "--sink", "webhok", "--store", folder) == "0 messages\n"
    assert len(messages(folder)) == 3


@pytest.mark.parametrize("command", ["list", "retry", "drop"])
def test_a_sink_of_the_configuration_may_have_nothing_that_waits(folder: str, command: str, tmp_path: Path) -> None:
    config = configured(tmp_path, "https://example.com/", store=folder)
    assert said("outbox", command, "--sink", "hook", "--config", config).startswith("0 messages")
    assert said("outbox", command, "--sink", "webhook", "--config", config).startswith("2 messages")
    error = run("outbox", command, "--sink", "hok", "--config", config).exception
    assert isinstance(error, CommandError)
    assert "those that are known: stdout, hook, dead_letters, notification" in str(error)


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_all_of_everything_is_not_meant_by_silence(folder: str, command: str) -> None:
    error = run("outbox", command, "--store", folder).exception
    assert isinstance(error, CommandError)
    assert "which messages?" in str(error)
    assert len(messages(folder)) == 3


def test_where_there_is_no_store_it_is_told(tmp_path: Path) -> None:
    for command in (["list"], ["drop", "--sink", "a"]):
        assert isinstance(run("outbox", *command, "--store", str(tmp_path / "none")).exception, StoreError)


def test_a_live_daemon_tries_again_at_once(folder: str, store: SqlitePartition, tmp_path: Path) -> None:
    with Receiver() as receiver:
        receiver.failing = {SENT[1].id}
        settings = {"url": receiver.url, "allow_networks": LOOPBACK, "secrets": [SECRET]}
        given = sections.WebhookSink.model_validate(settings)
        clock, commands, over = SystemClock(), Commands(), Event()
        delivery = Delivery([WebhookSink(given, "sinks[0]")], clock, Counts())
        OutboxCommands(tmp_path, delivery.resume, clock.now).register(commands)
        channel = Channel(tmp_path, commands, clock.monotonic)

        def turn() -> None:
            while not over.wait(0.01):
                commands.run_pending()

        loop = Thread(target=turn)
        loop.start()
        channel.start()
        delivery.attach(store)
        try:
            wait_until(lambda: bool(address.sockets(tmp_path)), "it to listen")
            receiver.wait_for_count(1)
            receiver.failing = set()
            told = said("outbox", "retry", "--sink", "webhook", "--store", folder)
            assert told.splitlines()[-1] == "2 messages will be tried again"
            receiver.wait_for(lambda requests: {SENT[0].id, SENT[1].id} <= {r.id for r in requests[1:]})
            wait_until(lambda: messages(folder) == [(SENT[2].id, "queued")], "them to be settled")
        finally:
            delivery.close(10)
            channel.close()
            over.set()
            loop.join()


def configured(tmp_path: Path, url: str, *, store: str = "none", **settings: object) -> str:
    sink = {"kind": "webhook", "name": "hook", "url": url, "allow_networks": LOOPBACK, **settings}
    sinks = [{"kind": "stdout"}, sink]
    config = {"source": {"kind": "computer"}, "events": {"features": ["cpu"]}, "sinks": sinks, "store": {"path": store}}
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(config))
    return str(file)


def test_a_sample_goes_through_the_configured_sink_and_is_marked(tmp_path: Path) -> None:
    with Receiver() as receiver:
        config = configured(tmp_path, receiver.url, secrets=[SECRET])
        assert said("alert", "test", "--sink", "hook", "--config", config).startswith(
            "hook: the receiver took it (204, "
        )
        assert said("alert", "test", "--sink", "hook", "--config", config, "--resolve")
        opened, over = receiver.requests
    for request in (opened, over):
        request.verify(SECRET)
        assert json.loads(request.body)["test"] is True
        Draft202012Validator(schema()).validate(json.loads(request.body))
    assert [json.loads(request.body)["status"] for request in (opened, over)] == ["firing", "resolved"]
    assert json.loads(opened.body)["summary"].startswith("TEST, nothing is wrong: detector-test: cpu 97 %")


def test_a_direct_sink_gets_the_alert_by_itself(tmp_path: Path) -> None:
    with Receiver() as receiver:
        config = configured(tmp_path, receiver.url, direct=True)
        assert said("alert", "test", "--sink", "hook", "--config", config)
        (request,) = receiver.requests
    Draft202012Validator(body.schema()).validate(json.loads(request.body))
    assert json.loads(request.body)["test"] is True


def test_what_is_not_taken_exits_5_and_says_why(tmp_path: Path) -> None:
    with Receiver(Answer(401, body=b"who are you?")) as receiver:
        done = detector("alert", "test", "--sink", "hook", "--config", configured(tmp_path, receiver.url))
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("hook: not taken (401): http://127.0.0.1:")
    assert done.stderr.endswith("answered 401: who are you?\n")


def test_what_is_wrong_with_a_sink_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with Receiver() as receiver:
        config = configured(tmp_path, receiver.url, template="{{ nothing }}")
        for name, error in (("hook", "sinks[1].template cannot be used"), ("hok", "it has: stdout, hook")):
            done = run("alert", "test", "--sink", name, "--config", config)
            assert isinstance(done.exception, ConfigError)
            assert error in str(done.exception)
        checked = run("check", "--config", config).exception
        assert str(checked).startswith("sinks[1].template cannot be used: 'nothing' is undefined")
        assert receiver.requests == []


def test_programs_read_what_came_of_it(tmp_path: Path) -> None:
    with Receiver(204, 500) as receiver:
        config = configured(tmp_path, receiver.url)
        told = json.loads(said("alert", "test", "--sink", "hook", "--config", config, "--json"))
        assert (told["delivered"], told["code"]) == (True, "204")
        done = run("alert", "test", "--sink", "hook", "--config", config, "--json")
        assert isinstance(done.exception, SinkError)
        assert json.loads(done.stdout)["delivered"] is False
