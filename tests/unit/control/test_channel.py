"""Both ends of the channel, over a real socket."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from detector.control import address
from detector.control.asking import ask
from detector.control.channel import Channel
from detector.control.commands import Commands
from detector.control.wire import REQUEST_BYTES, Answer, receive
from detector.errors import CommandError, DaemonAwayError, DetectorError, NotMineError, StoreFullError
from tests.support.broker import wait_until


class Daemon:
    """A channel, and a main thread that does nothing but run commands."""

    def __init__(self, folder: Path) -> None:
        self.commands = Commands()
        self.commands.register("echo", lambda payload: payload)
        self.commands.register("raise", self._raise)
        self.raises: Exception = CommandError("no such entity")
        self.channel = Channel(folder, self.commands, time.monotonic)
        self._stopped = threading.Event()
        self._main = threading.Thread(target=self._turn)

    @contextmanager
    def running(self, sockets: int = 1) -> Iterator[Daemon]:
        self.channel.start()
        self._main.start()
        folder = self.channel._folder
        wait_until(lambda: len(address.sockets(folder)) == sockets, "it listens")
        try:
            yield self
        finally:
            self.channel.close()
            self._stopped.set()
            self._main.join(30.0)

    def _turn(self) -> None:
        while not self._stopped.wait(0.002):
            self.commands.run_pending()

    def _raise(self, _: dict[str, Any]) -> dict[str, Any]:
        raise self.raises


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path).running() as running:
        yield running


def test_a_command_goes_there_and_its_result_comes_back(daemon: Daemon, tmp_path: Path) -> None:
    payload = {"entity": "hôst\n-1", "numbers": [1, 2.5, None], "deep": {"a": {}}}
    assert ask(tmp_path, "echo", payload) == [Answer(os.getpid(), payload)]


def test_only_the_daemons_own_user_may_ask(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / f"control-{os.getpid()}.sock"
    assert address.sockets(tmp_path) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "error", [CommandError("no such entity"), StoreFullError("no room"), DetectorError("something else")]
)
def test_what_the_daemon_refuses_is_told_with_its_exit_code(
    daemon: Daemon, tmp_path: Path, error: DetectorError
) -> None:
    daemon.raises = error
    with pytest.raises(DetectorError, match=f"^{error}$") as caught:
        ask(tmp_path, "raise")
    assert caught.value.exit_code == error.exit_code


def test_the_socket_goes_with_its_daemon(tmp_path: Path) -> None:
    with Daemon(tmp_path).running():
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DaemonAwayError, match="no daemon runs here: start it with `detector run`"):
        ask(tmp_path, "echo")
    with pytest.raises(DaemonAwayError, match="no daemon runs here"):
        ask(tmp_path / "nowhere", "echo")


def test_the_socket_of_a_daemon_that_died_is_no_hindrance_and_is_removed(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from detector.control.address import listen\n"
        "listen(pathlib.Path(sys.argv[1]))\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=60)
    (dead,) = address.sockets(tmp_path)
    with Daemon(tmp_path).running(sockets=2):
        assert [answer.pid for answer in ask(tmp_path, "echo")] == [os.getpid()]
        assert not dead.exists()


def test_daemons_with_one_process_number_each_have_a_socket(daemon: Daemon, tmp_path: Path) -> None:
    """As in containers, where each is process 1."""
    with Daemon(tmp_path).running(sockets=2):
        assert {path.name for path in address.sockets(tmp_path)} == {
            f"control-{os.getpid()}.sock",
            f"control-{os.getpid()}-2.sock",
        }
        assert len(ask(tmp_path, "echo")) == 2


def test_of_several_daemons_the_one_that_is_meant_answers(daemon: Daemon, tmp_path: Path) -> None:
    with Daemon(tmp_path).running(sockets=2) as other:
        daemon.raises = NotMineError("metrics/1 is not mine")
        other.raises = NotMineError("nor mine")
        with pytest.raises(CommandError, match=r"not mine; nor mine|nor mine; .*not mine") as caught:
            ask(tmp_path, "raise")
        assert caught.value.exit_code == 2
        other.commands._handlers["raise"] = lambda _: {"owner": "other"}
        assert [answer.result for answer in ask(tmp_path, "raise")] == [{"owner": "other"}]


def test_a_folder_whose_path_is_too_long_for_a_socket_serves_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("er" * 20)
    folder.mkdir(parents=True)
    assert len(str(folder)) > 108
    with Daemon(folder).running():
        assert ask(folder, "echo", {"a": 1})[0].result == {"a": 1}


def raw(folder: Path, send: bytes) -> Answer:
    """Send some bytes, and return the answer."""
    connection = address.connected(address.sockets(folder)[0], 10.0)
    assert connection is not None
    with connection:
        connection.sendall(send)
        connection.shutdown(socket.SHUT_WR)
        return msgspec.json.decode(receive(connection, 1 << 20, 30.0), type=Answer)


@pytest.mark.parametrize("request_", [b"", b"\xff\x00", b"[1]", b'{"command": 1}', b'{"payload": {}}'])
def test_what_is_no_request_is_refused(daemon: Daemon, tmp_path: Path, request_: bytes) -> None:
    answer = raw(tmp_path, request_)
    assert answer.exit_code == 2
    assert answer.error.startswith("no request that this daemon understands: ")
    assert ask(tmp_path, "echo")[0].error == "", "it goes on"


def test_a_request_that_is_too_large_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=f"more than {REQUEST_BYTES} bytes") as caught:
        ask(tmp_path, "echo", {"a": "x" * REQUEST_BYTES})
    assert caught.value.exit_code == 2


def test_askers_that_say_nothing_or_leave_keep_no_other_from_being_served(daemon: Daemon, tmp_path: Path) -> None:
    silent = [address.connected(address.sockets(tmp_path)[0], 10.0) for _ in range(10)]
    gone = address.connected(address.sockets(tmp_path)[0], 10.0)
    assert gone is not None
    gone.sendall(b'{"command": "echo"}')
    gone.close()
    assert ask(tmp_path, "echo", {"a": 1})[0].result == {"a": 1}
    for connection in silent:
        assert connection is not None
        connection.close()


def test_a_daemon_whose_main_loop_hangs_is_told_of_in_time(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon._main = threading.Thread(target=daemon._stopped.wait)
    with daemon.running(), pytest.raises(DetectorError, match=r"no turn for it within 0\.1 s"):
        ask(tmp_path, "echo", seconds=0.1)


def test_a_daemon_that_ends_before_it_answers_is_told_of(tmp_path: Path) -> None:
    listener, _ = address.listen(tmp_path)

    def end() -> None:
        connection, _ = listener.accept()
        receive(connection, 1000, 10.0)
        connection.close()

    thread = threading.Thread(target=end)
    thread.start()
    with pytest.raises(DaemonAwayError, match="ended before it had answered"):
        ask(tmp_path, "echo")
    thread.join(30.0)
    listener.close()


def test_a_folder_that_takes_no_socket_for_now_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full: list[Callable[..., object]] = []

    def listen(folder: Path) -> tuple[socket.socket, Path]:
        if not full:
            full.append(listen)
            raise OSError(28, "No space left on device")
        return address_listen(folder)

    address_listen = address.listen
    monkeypatch.setattr(address, "listen", listen)
    monkeypatch.setattr("detector.control.channel._RETRY_SECONDS", 0.01)
    with capture_logs() as said, Daemon(tmp_path).running():
        assert ask(tmp_path, "echo", {"a": 1})[0].result == {"a": 1}
    assert [line["event"] for line in said][:2] == ["control_unavailable", "control_available"]
    assert "No space left on device" in said[0]["detail"]
