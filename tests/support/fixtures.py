"""Fixtures that all tests may ask for by name."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.broker import Broker, BrokerUnavailableError, Cluster, broker_classpath

BrokerFactory = Callable[..., Broker]


def pytest_configure() -> None:
    """Let SIGTERM end the run in order, as Ctrl-C does, so that no broker and no daemon outlives it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def require_broker() -> None:
    """Fail under CI, skip elsewhere, where no broker can be started."""
    try:
        broker_classpath()
    except BrokerUnavailableError as error:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The shared cluster: the one that KAFKA_BOOTSTRAP_SERVERS names, or a broker for this session."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield Cluster(given)
        return
    require_broker()
    own = Broker(tmp_path_factory.mktemp("broker"))
    own.start()
    yield own
    own.stop()


@pytest.fixture
def new_broker(tmp_path: Path) -> Iterator[BrokerFactory]:
    """Make brokers of the test's own, to be stopped and killed at will: takes what `Broker` takes but the folder."""
    require_broker()
    made: list[Broker] = []

    def make(**options: Any) -> Broker:
        made.append(Broker(tmp_path / f"broker-{len(made)}", **options))
        made[-1].start()
        return made[-1]

    yield make
    for own in made:
        own.kill()
