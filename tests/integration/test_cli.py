"""The command line as a user runs it: a process, its output and its exit code."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from detector.store.sqlite import SqliteStore
from detector.types import (
    Checkpoint,
    ControlKind,
    ControlRecord,
    DeadLetter,
    OutboxEntry,
    Partition,
    Position,
    SlotState,
)
from detector.version import __version__
from tests.support.broker import Cluster

SMALLEST = "source: {kind: kafka, topics: [metrics]}\nevents: {features: [cpu]}\n"
SLOW_TO_IMPORT = {"tensorflow", "sklearn", "scipy", "kafka", "pyarrow", "fastavro", "numpy", "uvicorn", "httpx2"}
SHIPPED = Path(__file__).parents[2] / "config.yaml"


def detector(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "detector", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "COLUMNS": "200", **(environ or {})},
    )


def imported_by(*arguments: str) -> set[str]:
    """Return the modules that a command has imported when it ends, and the names of their packages."""
    program = (
        "import sys\n"
        f"sys.argv = ['detector', *{arguments!r}]\n"
        "from detector.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as done:\n    assert not done.code, done.code\n"
        "print('\\n' + ' '.join(sorted({*sys.modules, *(name.partition('.')[0] for name in sys.modules)})))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(SMALLEST)
    return path


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["run", "--help"],
        ["demo", "--help"],
        ["bench", "quality", "--help"],
        ["status", "--help"],
        ["version"],
    ],
)
def test_what_needs_no_configuration_imports_none_of_it(command: list[str]) -> None:
    imported = imported_by(*command)
    assert "typer" in imported
    assert imported & (SLOW_TO_IMPORT | {"detector.config.sections", "rich.console"}) == set()


def test_check_and_schema_import_nothing_that_is_slow(config: Path) -> None:
    for command in (["check", "--config", str(config)], ["schema"]):
        imported = imported_by(*command)
        assert "detector.config.sections" in imported
        assert imported & SLOW_TO_IMPORT == set()


@pytest.mark.parametrize(
    "command", ["run", "demo", "check", "schema", "bench", "learning", "state", "status", "version"]
)
def test_help_names_every_command(command: str) -> None:
    assert f"\n  {command} " in detector("--help").stdout
    assert detector(command, "--help").returncode == 0


def test_help_documents_the_exit_codes() -> None:
    said = " ".join(detector("--help").stdout.split())
    assert "2 configuration or usage, 3 store, 4 source, 5 sink" in said


def test_without_a_command_it_shows_the_help() -> None:
    done = detector()
    assert "Commands:" in done.stdout + done.stderr


def test_version_names_what_runs() -> None:
    lines = detector("version").stdout.splitlines()
    assert lines[0] == f"detector {__version__}"
    assert [line.split()[0] for line in lines[1:3]] == ["Python", "tensorflow"]
    assert lines[-1].startswith("instruction set ")


def test_schema_prints_json() -> None:
    schema = json.loads(detector("schema").stdout)
    assert schema["properties"].keys() >= {"source", "events"}
    for subject in ("alert", "notification"):
        assert json.loads(detector("schema", subject).stdout)["$id"].startswith(f"urn:detector:{subject}:")


def test_check_accepts_the_shipped_configuration() -> None:
    done = detector("check", "--config", str(SHIPPED))
    assert (done.returncode, done.stderr) == (0, "")
    assert "is valid" in done.stdout


def test_check_takes_the_configuration_from_the_environment(config: Path) -> None:
    done = detector("check", environ={"DETECTOR_CONFIG": str(config)})
    assert done.returncode == 0
    assert f"{config} is valid" in done.stdout


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_wrong_configuration_is_told_in_lines_and_exits_2(config: Path, command: str) -> None:
    config.write_text(SMALLEST + "lgo: {}\nhttp: {port: x}\n")
    done = detector(command, "--config", str(config))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"{config}:3: lgo: unknown key, did you mean `log`?",
        f"{config}:4: http.port: found `x`, expected a whole number",
    ]
    assert done.stdout == ""


def test_a_configuration_that_is_not_there_exits_2(tmp_path: Path) -> None:
    done = detector("check", "--config", str(tmp_path / "absent.yaml"))
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_exits_2() -> None:
    assert detector("nothing").returncode == 2
    assert detector("demo", "--json").returncode == 2


def test_check_connect_reaches_a_broker(config: Path, broker: Cluster) -> None:
    config.write_text(SMALLEST + f"kafka: {{bootstrap_servers: '{broker.bootstrap}'}}\n")
    done = detector("check", "--connect", "--config", str(config))
    assert done.returncode == 0, done.stdout + done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("Kafka"))
    assert row.split() == ["Kafka", broker.bootstrap, "yes"]


def test_check_finds_an_apprise_url_that_is_none(config: Path) -> None:
    config.write_text(SMALLEST + "sinks: [{kind: apprise, url: 'nosuch://x'}]\n")
    done = detector("check", "--config", str(config))
    assert done.returncode == 2
    assert done.stderr.startswith("sinks[0].url: expected one URL as apprise has them")


def test_check_connect_exits_4_without_a_broker_and_5_without_a_receiver(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    config.write_text(SMALLEST + f"kafka: {{bootstrap_servers: '127.0.0.1:{port}', request_timeout: 1s}}\n")
    done = detector("check", "--connect", "--config", str(config))
    assert done.returncode == 4, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    config.write_text(
        "source: {kind: computer}\nevents: {features: [cpu]}\n"
        f"sinks: [{{kind: webhook, url: 'http://127.0.0.1:{port}/', allow_networks: 127.0.0.0/8}}]\n"
    )
    done = detector("check", "--connect", "--config", str(config))
    assert done.returncode == 5, done.stdout + done.stderr
    assert "no: Connection refused" in done.stdout


# --- state


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Make a store of one partition: a checkpoint, two slots, a control record, a dead letter, an alert."""
    path = tmp_path / "state"
    partition = SqliteStore(path, keep_rejects=10).open(Partition("metrics", 0))
    partition.add_control(ControlRecord(0, ControlKind.CONFIGURATION, {"a": 1}))
    partition.write_slots([SlotState("web-1", 1e9, b"one"), SlotState("web-2", 1e9 + 60, b"two")])
    checkpoint = Checkpoint(Position(42, 7), 3, b"header", "tensorflow 2, fma 1", "topic-id")
    letter = DeadLetter(
        Partition("metrics", 0),
        7,
        1000,
        b"web-1",
        b"\xff",
        (("h", b"x"), ("none", None)),
        (),
        ("undecodable",),
        "not JSON",
    )
    partition.commit_checkpoint(checkpoint, [], [letter], [])
    partition.commit_alerts([OutboxEntry("id", "webhook", "alert", b"{}")], Position(50, 0), 3)
    partition.close()
    return path


def test_state_show_tells_what_a_partition_holds(store: Path) -> None:
    done = detector("state", "show", "--store", str(store))
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[2] == "metrics/0"
    assert lines[4:10] == [
        "checkpoint offset 42, row 7, block 3, 6 bytes of header",
        "topic id topic-id",
        "written by tensorflow 2, fma 1",
        "alerts through offset 50, row 0, block 3",
        "entities 2, seen 2001-09-09T01:46:40+00:00 to 2001-09-09T01:47:40+00:00",
        "control records configuration at block 0",
    ]
    assert lines[10].startswith("outbox 1 for webhook, 2 bytes")
    assert detector("state", "show", "metrics/0", "--store", str(store)).stdout == done.stdout


def test_state_dead_letters_tells_what_was_rejected_and_why(store: Path) -> None:
    done = detector("state", "dead-letters", "metrics/0", "--store", str(store))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "topic": "metrics",
        "partition": 0,
        "offset": 7,
        "timestamp": 1000,
        "rows": [],
        "reasons": ["undecodable"],
        "detail": "not JSON",
        "headers": [["h", "x"], ["none", None]],
        "key": "web-1",
        "value_base64": "/w==",
    }


def test_state_takes_the_folder_from_the_configuration(store: Path, config: Path) -> None:
    config.write_text(SMALLEST + f"store: {{path: '{store}'}}\n")
    done = detector("state", "check", "--config", str(config))
    assert (done.returncode, done.stdout) == (0, f"{store}: nothing is damaged; partitions: metrics/0\n")


def test_state_moves_a_partition_by_a_file(store: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "metrics-0.export", tmp_path / "other"
    assert detector("state", "export", "metrics/0", str(file), "--store", str(store)).returncode == 0
    done = detector("state", "import", str(file), "--store", str(other))
    assert (done.returncode, done.stdout) == (0, f"metrics/0 is in {other}\n")
    first, second = (
        detector("state", "show", "metrics/0", "--store", str(path)).stdout.splitlines()[4:] for path in (store, other)
    )
    assert first == second
    assert detector("state", "import", str(file), "--store", str(other)).returncode == 3
    assert detector("state", "import", str(file), "--store", str(other), "--overwrite").returncode == 0


def test_state_check_exits_3_where_a_file_is_damaged(store: Path) -> None:
    with sqlite3.connect(store / "metrics" / "0.sqlite") as sqlite:
        sqlite.execute("UPDATE checkpoint SET header = x'00'")
    sqlite.close()
    done = detector("state", "check", "--store", str(store))
    assert done.returncode == 3
    assert "checksum of its checkpoint fails" in done.stderr
    assert "Traceback" not in done.stderr


def test_state_of_what_is_not_there_exits_3(store: Path, tmp_path: Path) -> None:
    for arguments in (["check", "--store", str(tmp_path)], ["show", "metrics/1", "--store", str(store)]):
        done = detector("state", *arguments)
        assert done.returncode == 3
        assert "holds no store" in done.stderr


@pytest.mark.parametrize("name", ["metrics", "metrics/x", "/0", ""])
def test_a_name_that_is_no_partition_is_wrong_usage(store: Path, name: str) -> None:
    done = detector("state", "show", name, "--store", str(store))
    assert done.returncode == 2
    assert "is no partition; expected TOPIC/NUMBER" in " ".join(done.stderr.split())


@pytest.mark.parametrize("moment", ["| numpy", "detector.cli.demo_run", "this computer:"])
def test_the_demo_ends_in_order_whenever_ctrl_c_comes_and_leaves_nothing_behind(tmp_path: Path, moment: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "detector", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
    )
    with process:
        assert process.stdout is not None
        said = (" ".join(line.split()) for line in process.stdout)
        assert any(moment in line for line in said), "it ended before it came that far"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert list(tmp_path.glob("detector-demo-*")) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_run_still_imports_ends_it_in_order(config: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "detector", "run", "--config", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=config.parent,
    )
    with process:
        assert process.stderr is not None
        assert any("detector.config.load" in line for line in process.stderr), "it ended before it read anything"
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == 0
