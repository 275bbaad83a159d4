from __future__ import annotations

from detector.telemetry.health import BlockReason, Health
from detector.telemetry.metrics import Metrics


class Hands:
    """A monotonic clock that a test turns."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def blocked(metrics: Metrics) -> dict[str, float]:
    (family,) = metrics.blocked.collect()
    return {sample.labels["reason"]: sample.value for sample in family.samples}


def test_a_daemon_begins_blocked_by_its_start() -> None:
    metrics = Metrics()
    health = Health(metrics.blocked)
    assert health.ready() == (False, {BlockReason.STARTING: "the daemon starts"})
    assert blocked(metrics) == {r.value: float(r is BlockReason.STARTING) for r in BlockReason}


def test_it_is_ready_when_nothing_blocks_it() -> None:
    metrics = Metrics()
    health = Health(metrics.blocked)
    health.unblock(BlockReason.STARTING)
    health.unblock(BlockReason.STORE)
    assert health.ready() == (True, {})
    assert set(blocked(metrics).values()) == {0}


def test_each_reason_blocks_by_itself_and_has_the_last_detail() -> None:
    metrics = Metrics()
    health = Health(metrics.blocked)
    health.unblock(BlockReason.STARTING)
    health.block(BlockReason.SOURCE, "away")
    health.block(BlockReason.SOURCE, "still away")
    health.block(BlockReason.OUTBOX, "full")
    assert health.ready() == (False, {BlockReason.SOURCE: "still away", BlockReason.OUTBOX: "full"})
    health.unblock(BlockReason.OUTBOX)
    assert [reason for reason, value in blocked(metrics).items() if value] == ["source"]


def test_it_lives_while_the_loop_turns_whatever_blocks_it() -> None:
    hands = Hands()
    health = Health(Metrics().blocked, hands)
    hands.time += 59
    assert health.alive()
    hands.time += 1
    assert not health.alive()
    health.turned()
    assert health.alive()
    assert not health.ready()[0]


def test_it_tells_how_long_ago_the_loop_turned() -> None:
    hands = Hands()
    health = Health(Metrics().blocked, hands)
    hands.time += 7.0
    assert health.age() == 7.0
    health.turned()
    assert health.age() == 0.0
