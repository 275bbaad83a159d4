"""Commands to a running daemon, as an operator gives them: processes, their output and exit codes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.sources.readings import UNITS
from detector.version import __version__
from tests.integration.test_cli import SLOW_TO_IMPORT, detector, imported_by
from tests.support.daemon import PATIENCE, Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Watch this computer: the source that needs no broker and does not end."""
    daemon = Daemon(tmp_path_factory.mktemp("live"), {}, {"sinks": []})
    events = {"features": list(UNITS), "entity": "entity", "timestamp": {"path": "ts", "unit": "ms"}}
    daemon.replace({"source": {"kind": "computer", "interval": "50ms"}, "events": events})
    daemon.start().until_said("partition_assigned")
    yield daemon
    daemon.kill()


def test_status_tells_what_it_does(daemon: Daemon) -> None:
    done = detector("status", "--store", str(daemon.store))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert f", process {daemon.pid}, since 20" in lines[0]
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["store", str(daemon.store)],
        ["source", "computer"],
        ["state", "works"],
    ]
    found = json.loads(detector("status", "--store", str(daemon.store), "--json").stdout.splitlines()[-1])
    (told,) = found["daemons"]
    assert told["pid"] == daemon.pid
    assert lines[4].strip() == told["partitions"][0]["partition"]


def test_an_entity_is_frozen_and_everything_is_as_configured_again(daemon: Daemon) -> None:
    store = ["--store", str(daemon.store)]
    daemon.until(lambda: daemon.metrics()["detector_entities_active"] > 1, "it knows entities")
    done = detector("learning", "set", "computer", "freeze", *store)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("computer/0: computer freeze, from block ")

    def frozen() -> bool:
        return daemon.metrics()['detector_entities_learning{mode="freeze"}'] == 1

    daemon.until(frozen, "the entity was frozen")
    lines = [" ".join(line.split()) for line in detector("learning", "list", "computer", *store).stdout.splitlines()]
    assert lines[:4] == ["computer/0", "computer freeze", "configuration learn", "said since computer freeze"]
    listed = json.loads(detector("learning", "list", "computer", "--json", *store).stdout)["partitions"]
    assert listed[0]["entity"] == {"name": "computer", "mode": "freeze", "known": True}
    assert detector("learning", "set", "--all", "default", *store).returncode == 0
    daemon.until(lambda: not frozen(), "everything learned again")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["set", "computer", "frozen"], "no mode 'frozen'; expected one of learn, freeze, quarantine, default"),
        (["set", "nobody", "freeze"], "no partition of this daemon knows the entity 'nobody'"),
        (["set", "freeze"], "expected an entity and a mode"),
        (["set", "computer", "freeze", "--partition", "a/1"], "a/1: not owned by this daemon, which owns computer/0"),
        (["list", "--partition", "a/1"], "a/1: not owned by this daemon"),
    ],
)
def test_what_an_operator_gets_wrong_is_told_in_a_line(daemon: Daemon, arguments: list[str], said: str) -> None:
    done = detector("learning", *arguments, "--store", str(daemon.store))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_store_is_found_by_the_configuration(daemon: Daemon, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"source: {{kind: computer}}\nevents: {{features: [a]}}\nstore: {{path: '{daemon.store}'}}\n")
    assert f"process {daemon.pid}," in detector("status", "--config", str(config)).stdout


def test_asking_imports_nothing_that_is_slow(daemon: Daemon) -> None:
    assert imported_by("status", "--store", str(daemon.store)) & SLOW_TO_IMPORT == set()


def test_where_no_daemon_runs_it_is_said_with_what_to_do(tmp_path: Path) -> None:
    done = detector("status", "--store", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{tmp_path}: no daemon runs here: start it with `detector run`")
    assert len(done.stderr.splitlines()) == 1


def test_a_changed_file_is_taken_at_sighup_by_http_and_by_command(daemon: Daemon) -> None:
    daemon.configure({"log": {"level": "debug"}})
    daemon.send(signal.SIGHUP)
    assert daemon.until_said("reloaded", at_once=["log.level"])["at_boundary"] == []

    daemon.configure({"log": {"level": "info"}, "alerting": {"critical_decades": 1.5}})
    answer = daemon.post("-/reload")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["at_once"], told["at_boundary"]) == (["log.level"], ["alerting.critical_decades"])
    (place,) = told["partitions"]
    said = daemon.until_said("configuration_changes", partition="computer/0")
    assert place == {"partition": "computer/0", "at_block": said["at_block"]}

    daemon.configure({"absence": {"idle_after": "1h"}})
    done = detector("reload", "--store", str(daemon.store))
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines == [f"process {daemon.pid}", "changed at once absence.idle_after"]


def test_a_file_that_cannot_be_taken_changes_nothing_and_is_told_of(daemon: Daemon) -> None:
    before = daemon.metrics()
    assert before["detector_config_last_reload_successful"] == 1
    kept = daemon.text_of_configuration
    daemon.configure({"log": {"level": "debug"}, "http": {"port": 1}})
    answer = daemon.post("-/reload")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("http.port: cannot change while the daemon runs: ")
    daemon.configure({"log": {"level": "loud"}})
    done = detector("reload", "--store", str(daemon.store))
    assert (done.returncode, done.stdout) == (2, "")
    assert "log.level: " in done.stderr
    assert "Traceback" not in done.stderr
    after = daemon.metrics()
    assert after["detector_config_last_reload_successful"] == 0
    name = "detector_config_last_reload_success_timestamp_seconds"
    assert after[name] == before[name]
    daemon.text_of_configuration = kept
    done = detector("reload", "--store", str(daemon.store), "--json")
    (told,) = json.loads(done.stdout)["daemons"]
    assert told == {"pid": daemon.pid, "at_once": [], "at_boundary": [], "partitions": []}
    assert daemon.metrics()["detector_config_last_reload_successful"] == 1
    assert daemon.metrics()[name] > before[name]


def test_silences_are_said_listed_and_ended_through_the_daemon(daemon: Daemon) -> None:
    def silence(*arguments: str) -> list[dict[str, str]]:
        done = detector("silence", *arguments, "--store", str(daemon.store), "--json")
        assert (done.returncode, done.stderr) == (0, "")
        told = json.loads(done.stdout)
        return [told["silence"]] if "silence" in told else list(told["silences"])

    def active(count: int) -> None:
        daemon.until(lambda: daemon.metrics()["detector_silences_active"] == count, f"{count} silences were active")

    (first,) = silence("add", "entity=computer", "--for", "2h", "--comment", "tests", "--by", "ann")
    (later,) = silence(
        "add", "severity=warning", "--from", "2035-01-01T00:00:00Z", "--for", "1h", "--comment", "c", "--by", "bob"
    )
    assert [first["state"], later["state"]] == ["active", "pending"]
    active(1)
    assert silence("list") == [first, later]
    (ended,) = silence("expire", first["id"])
    assert (ended["id"], ended["state"]) == (first["id"], "expired")
    active(0)
    assert silence("list") == [later]
    done = detector("silence", "add", "entity=~(", "--for", "2h", "--comment", "c", "--store", str(daemon.store))
    assert (done.returncode, done.stdout) == (2, "")
    assert "`(` is no regular expression" in done.stderr


def test_the_service_manager_hears_of_every_turn(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        daemon = Daemon(tmp_path / "daemon", {"NOTIFY_SOCKET": str(tmp_path / "notify")}, {"sinks": []})
        daemon.replace({"source": {"kind": "computer"}, "events": {"features": list(UNITS), "entity": "entity"}})
        try:
            daemon.start()
            assert manager.recv(100) == b"READY=1"
            assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            daemon.send(signal.SIGTERM)
            while (heard := manager.recv(100)) != b"STOPPING=1":
                assert heard == b"WATCHDOG=1"
            assert daemon.wait(PATIENCE) == 0
        finally:
            daemon.kill()


def test_top_prints_looks_where_there_is_no_terminal_and_ends_at_ctrl_c_with_0(daemon: Daemon) -> None:
    done = detector("top", "--count", "2", "--interval", "0.2", "--store", str(daemon.store))
    assert (done.returncode, done.stderr) == (0, "")
    heads = [line for line in done.stdout.splitlines() if line.startswith(f"detector {__version__}, process")]
    assert len(heads) == 2
    watching = subprocess.Popen(
        [sys.executable, "-m", "detector", "top", "--interval", "0.2", "--store", str(daemon.store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith(heads[0][:20])
    watching.send_signal(signal.SIGINT)
    _, complaints = watching.communicate(timeout=PATIENCE)
    assert (watching.returncode, complaints) == (0, "")


def test_feedback_on_what_is_not_known_is_told_in_a_line(daemon: Daemon) -> None:
    store = ["--store", str(daemon.store)]
    for arguments, said, code in (
        (["0123456789", "--normal"], "no incident of this id is known here", 2),
        (["0123456789"], "say either --normal or --fault", 2),
        (["0123456789", "--normal", "--until", "soon"], "expected a time such as", 2),
        (["undo", "01234567"], "no verdict of this id is in force here", 2),
    ):
        done = detector("feedback", *arguments, *store)
        assert (done.returncode, said in " ".join(done.stderr.split())) == (code, True), done.stderr
    assert "nothing is in force" in detector("feedback", "list", *store).stdout
    assert daemon.metrics()['detector_feedback_total{verdict="normal"}'] == 0
