from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from detector.errors import StoreDamagedError, StoreFullError
from detector.store.memory import MemoryPartition, MemoryStore
from detector.store.writer import Writer
from detector.types import Checkpoint, OutboxEntry, Partition, Position, SlotState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from detector.store.sqlite import SqlitePartition, SqliteStore

BOUND = 30.0


class Watched:
    """Notes the writing calls of a store, and can hold them up or let them fail."""

    def __init__(self, store: MemoryPartition, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = store
        self.log: list[tuple[str, int]] = []
        self.open = threading.Event()
        self.open.set()
        self.inside = threading.Event()
        self.failure: Exception | None = None
        self.tried = threading.Semaphore(0)
        for name, number in (
            ("write_slots", len),
            ("commit_alerts", lambda _entries, through, *_: through.offset),
            ("commit_checkpoint", lambda checkpoint, *_: checkpoint.position.offset),
        ):
            monkeypatch.setattr(store, name, self._watch(getattr(store, name), name, number))

    def _watch(self, call: Callable[..., Any], name: str, number: Callable[..., int]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            self.inside.set()
            assert self.open.wait(BOUND)
            self.tried.release()
            if self.failure is not None:
                raise self.failure
            result = call(*arguments)
            self.log.append((name.removeprefix("commit_").removeprefix("write_"), number(*arguments)))
            return result

        return watched

    def hold(self) -> None:
        self.inside.clear()
        self.open.clear()

    def wait_inside(self) -> None:
        assert self.inside.wait(BOUND)


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore(keep_rejects=10)


@pytest.fixture
def watched(memory: MemoryStore, partition: Partition, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(memory.open(partition), monkeypatch)


@pytest.fixture
def woken() -> list[Partition]:
    return []


@pytest.fixture
def writer(woken: list[Partition]) -> Iterator[Writer]:
    writer = Writer(woken.append, retry=0.01)
    yield writer
    writer.close()


def checkpoint(offset: int, header: bytes = b"") -> Checkpoint:
    return Checkpoint(Position(offset), 0, header, "", "")


def states(count: int, size: int = 10) -> list[SlotState]:
    return [SlotState(f"e{n:05d}", 1.0, bytes(size)) for n in range(count)]


def entries(*numbers: int) -> list[OutboxEntry]:
    return [OutboxEntry(f"{number}", "webhook", "alert", b"12345") for number in numbers]


def put_checkpoint(writer: Writer, store: MemoryPartition, offset: int, found: Sequence[OutboxEntry] = ()) -> None:
    writer.checkpoint(store, checkpoint(offset), [], [], found, started=0.0)


def test_everything_handed_over_is_durable_after_a_drain(
    writer: Writer, watched: Watched, woken: list[Partition], partition: Partition
) -> None:
    writer.slots(watched.store, states(3))
    writer.alerts(watched.store, entries(1, 2), Position(5), 1)
    put_checkpoint(writer, watched.store, 6, entries(3))
    assert writer.drain(watched.store, BOUND)
    assert watched.store.checkpoint() == checkpoint(6)
    assert watched.store.alerts_through() == (Position(5), 1)
    assert [entity for entity, _ in watched.store.directory()] == ["e00000", "e00001", "e00002"]
    assert [queued.entry for queued in watched.store.due("webhook", 0.0, 9)] == entries(1, 2, 3)
    assert writer.pending_bytes == 0


def test_the_delivery_thread_is_woken_when_there_is_something_to_deliver(
    writer: Writer, watched: Watched, woken: list[Partition], partition: Partition
) -> None:
    writer.alerts(watched.store, [], Position(1), 1)
    put_checkpoint(writer, watched.store, 1)
    assert writer.drain(watched.store, BOUND)
    writer.alerts(watched.store, entries(1), Position(5), 1)
    put_checkpoint(writer, watched.store, 6, entries(2))
    assert writer.drain(watched.store, BOUND)
    writer.close()
    assert woken == [partition, partition]


def test_a_finished_checkpoint_tells_its_bytes_and_duration(
    watched: Watched, partition: Partition, woken: list[Partition]
) -> None:
    writer = Writer(woken.append, monotonic=lambda: 7.5)
    for offset in (1, 2):
        writer.slots(watched.store, states(2, size=10))
        writer.checkpoint(watched.store, checkpoint(offset, b"x" * 100), [], [], [], started=5.0)
    assert writer.drain(watched.store, BOUND)
    finished = writer.finished()
    assert [(done.partition, done.checkpoint.position.offset) for done in finished] == [(partition, 1), (partition, 2)]
    assert [(done.bytes, done.seconds) for done in finished] == [(132, 2.5), (132, 2.5)]
    assert writer.finished() == []
    writer.close()


def test_alerts_go_ahead_of_queued_slots_and_checkpoints(writer: Writer, watched: Watched) -> None:
    watched.hold()
    writer.slots(watched.store, states(1))
    watched.wait_inside()
    writer.slots(watched.store, states(2))
    put_checkpoint(writer, watched.store, 9)
    writer.alerts(watched.store, entries(1), Position(1), 1)
    writer.alerts(watched.store, entries(2), Position(2), 1)
    watched.open.set()
    assert writer.drain(watched.store, BOUND)
    assert watched.log == [("slots", 1), ("alerts", 1), ("alerts", 2), ("slots", 2), ("checkpoint", 9)]


def test_alerts_go_between_the_pieces_of_a_chunk(writer: Writer, watched: Watched) -> None:
    watched.hold()
    writer.slots(watched.store, states(20_000))
    watched.wait_inside()
    writer.alerts(watched.store, entries(1), Position(1), 1)
    watched.open.set()
    assert writer.drain(watched.store, BOUND)
    assert watched.log[1] == ("alerts", 1)
    assert sum(number for name, number in watched.log if name == "slots") == 20_000
    put_checkpoint(writer, watched.store, 2)
    assert writer.drain(watched.store, BOUND)
    assert len(list(watched.store.directory())) == 20_000


@pytest.mark.parametrize("seed", range(10))
def test_a_checkpoint_never_overtakes_what_was_handed_over_before(
    memory: MemoryStore, writer: Writer, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random_ = random.Random(seed)
    stores = [Watched(memory.open(Partition("t", number)), monkeypatch) for number in range(2)]
    order: list[list[tuple[str, int]]] = [[], []]
    for number in range(1, 200):
        which = random_.randrange(2)
        store = stores[which]
        kind = random_.choice(["slots", "alerts", "checkpoint"])
        order[which].append((kind, number))
        if random_.random() < 0.05:
            store.failure = StoreFullError("full") if store.failure is None else None
        if kind == "slots":
            writer.slots(store.store, states(number))
        elif kind == "alerts":
            writer.alerts(store.store, entries(number), Position(number), 1)
        else:
            put_checkpoint(writer, store.store, number)
    for store in stores:
        store.failure = None
    for store, handed_over in zip(stores, order, strict=True):
        assert writer.drain(store.store, BOUND)
        assert sorted(store.log) == sorted(handed_over)
        assert [item for item in store.log if item[0] == "alerts"] == [i for i in handed_over if i[0] == "alerts"]
        assert [item for item in store.log if item[0] != "alerts"] == [i for i in handed_over if i[0] != "alerts"]
        for place, item in enumerate(handed_over):
            if item[0] == "checkpoint":
                before = [other for other in handed_over[:place] if other[0] == "alerts"]
                assert set(before) <= set(store.log[: store.log.index(item)])


def test_a_full_disk_blocks_and_loses_nothing(writer: Writer, watched: Watched) -> None:
    watched.failure = StoreFullError("no room on the disk")
    writer.slots(watched.store, states(2))
    put_checkpoint(writer, watched.store, 9)
    for _ in range(3):  # it is tried again and again
        assert watched.tried.acquire(timeout=BOUND)
    assert writer.blocked == "no room on the disk"
    writer.alerts(watched.store, entries(1), Position(1), 1)
    assert not writer.drain(watched.store, 0.0)
    assert writer.pending_bytes == 2 * 16 + 5
    assert watched.log == []
    watched.failure = None
    assert writer.drain(watched.store, BOUND)
    assert writer.blocked is None
    assert sorted(watched.log) == [("alerts", 1), ("checkpoint", 9), ("slots", 2)]
    assert watched.log.index(("slots", 2)) < watched.log.index(("checkpoint", 9))
    assert len(writer.finished()) == 1


def test_a_disk_that_is_really_full_blocks_until_there_is_room(
    writer: Writer, store: SqliteStore, partition: Partition
) -> None:
    opened: SqlitePartition = store.open(partition)
    with opened._writer.reading() as sqlite:
        sqlite.execute("PRAGMA max_page_count = 1")
    writer.slots(opened, states(2000, size=500))
    writer.checkpoint(opened, checkpoint(3), [], [], [], started=0.0)
    deadline = time.monotonic() + BOUND
    while writer.blocked is None and time.monotonic() < deadline:
        assert not writer.drain(opened, 0.01)
    assert "make room" in str(writer.blocked)
    with opened._writer.reading() as sqlite:
        sqlite.execute("PRAGMA max_page_count = 1000000")
    assert writer.drain(opened, BOUND)
    assert opened.checkpoint() == checkpoint(3)
    assert len(list(opened.directory())) == 2000
    opened.close()


def test_closing_does_not_wait_for_room(watched: Watched, woken: list[Partition]) -> None:
    writer = Writer(woken.append, retry=3600.0)
    watched.failure = StoreFullError("full")
    put_checkpoint(writer, watched.store, 9)
    assert watched.tried.acquire(timeout=BOUND)
    writer.close()
    assert watched.log == []


def test_a_forgotten_store_is_written_no_more(
    writer: Writer, watched: Watched, memory: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Watched(memory.open(Partition("other", 0)), monkeypatch)
    watched.hold()
    put_checkpoint(writer, watched.store, 1)
    watched.wait_inside()
    put_checkpoint(writer, watched.store, 2)
    writer.alerts(watched.store, entries(1), Position(1), 1)
    put_checkpoint(writer, other.store, 3)
    release = threading.Timer(0.05, watched.open.set)
    release.start()
    writer.forget(watched.store)
    assert watched.open.is_set()  # it waited for the call under way
    watched.store.close()
    assert writer.drain(other.store, BOUND)
    assert watched.log == [("checkpoint", 1)]
    assert [done.partition for done in writer.finished()] == [Partition("other", 0)]
    assert writer.pending_bytes == 0
    release.join()


def test_forgetting_ends_the_attempts_on_a_full_disk(
    watched: Watched, memory: MemoryStore, monkeypatch: pytest.MonkeyPatch, woken: list[Partition]
) -> None:
    writer = Writer(woken.append, retry=3600.0)
    other = Watched(memory.open(Partition("other", 0)), monkeypatch)
    watched.failure = StoreFullError("full")
    writer.slots(watched.store, states(2))
    assert watched.tried.acquire(timeout=BOUND)
    writer.forget(watched.store)
    put_checkpoint(writer, other.store, 3)
    assert writer.drain(other.store, BOUND)
    writer.close()


@pytest.mark.parametrize("call", ["alerts", "slots", "checkpoint", "finished", "drain", "forget"])
def test_what_the_thread_dies_of_is_raised_by_every_call(watched: Watched, woken: list[Partition], call: str) -> None:
    writer = Writer(woken.append)
    watched.failure = StoreDamagedError("damaged")
    put_checkpoint(writer, watched.store, 1)
    writer._thread.join(BOUND)
    calls: dict[str, Callable[[], object]] = {
        "alerts": lambda: writer.alerts(watched.store, [], Position(1), 1),
        "slots": lambda: writer.slots(watched.store, []),
        "checkpoint": lambda: put_checkpoint(writer, watched.store, 2),
        "finished": writer.finished,
        "drain": lambda: writer.drain(watched.store, BOUND),
        "forget": lambda: writer.forget(watched.store),
    }
    for _ in range(2):
        with pytest.raises(StoreDamagedError, match="damaged"):
            calls[call]()
    writer.close()


def test_closing_tells_what_nobody_asked_for(watched: Watched, woken: list[Partition]) -> None:
    writer = Writer(woken.append)
    watched.failure = StoreDamagedError("damaged")
    put_checkpoint(writer, watched.store, 1)
    writer._thread.join(BOUND)
    with pytest.raises(StoreDamagedError, match="damaged"):
        writer.close()


def test_a_drain_is_interrupted_by_the_threads_death(watched: Watched, woken: list[Partition]) -> None:
    writer = Writer(woken.append)
    watched.hold()
    put_checkpoint(writer, watched.store, 1)
    watched.wait_inside()
    watched.failure = ZeroDivisionError("a bug")
    release = threading.Timer(0.02, watched.open.set)
    release.start()
    with pytest.raises(ZeroDivisionError, match="a bug"):
        writer.drain(watched.store, BOUND)
    release.join()
    writer.close()
