"""The connection to a cluster: a kafka-python consumer, made within a bound, and what kafka-python 3.0.12 forgets."""

from __future__ import annotations

import time
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient
from kafka.net.sasl.oauth import AbstractTokenProvider
from kafka.structs import MemberState

from detector.config.kafka_client import TOKEN_PROVIDERS, client_arguments
from detector.config.sections import Kafka, KafkaSource
from detector.protocols import Clock
from detector.sources import kafka_fetching, kafka_records
from detector.sources.client_log import ClientLog
from detector.sources.kafka_arguments import consumer_arguments
from detector.sources.kafka_trouble import Trouble

for _provider in TOKEN_PROVIDERS:
    AbstractTokenProvider.register(_provider)

_CONNECT_MS = 3000
_JOIN_SECONDS = 3.0
_REFRESH_SECONDS = 3.0


class Connection:
    """One consumer, None until `connect` has reached a broker. `metadata_is_new` is set whenever some arrived."""

    def __init__(self, config: KafkaSource, kafka: Kafka, trouble: Trouble, clock: Clock, record_bytes: int) -> None:
        """Read secrets and certificates; ConfigError where one cannot be used."""
        self.consumer: Any = None
        self.metadata_is_new = False
        self._config = config
        self._record_bytes = record_bytes
        self._arguments = client_arguments(kafka) | consumer_arguments(config)
        self._trouble = trouble
        self._clock = clock
        self._client: Any = None
        self._client_log = ClientLog()

    @property
    def cluster(self) -> Any:
        """What the client knows of the cluster: brokers, topics and their ids."""
        return self._client.cluster

    def connect(self, listener: ConsumerRebalanceListener) -> None:
        """Reach a broker, log in and subscribe, if that is not done; SourceError where it cannot be."""
        if self.consumer is not None:
            return
        self._client_log.attach()
        self._client_log.forget()
        try:
            kafka_fetching.install()
            kafka_records.install(self._record_bytes)
            consumer = KafkaConsumer(
                **self._arguments,
                partition_assignment_strategy=[CooperativeStickyAssignor],
                kafka_client=self._make_client,
                bootstrap_timeout_ms=_CONNECT_MS,
            )
        except KafkaError as error:
            if self._client is not None:
                self._client.close()  # kafka-python leaves its thread running when its constructor fails
            away = isinstance(error, KafkaTimeoutError)
            raise (
                self._trouble.unreachable(self._client_log.reason) if away else self._trouble.explain(error)
            ) from error
        pattern = f"(?:{self._config.pattern})\\Z" if self._config.pattern is not None else None
        consumer.subscribe(topics=list(self._config.topics or ()), pattern=pattern, listener=listener)
        self.cluster.add_listener(self._metadata_arrived)
        self.consumer = consumer

    def _make_client(self, **settings: Any) -> Any:
        self._client = KafkaNetClient(**settings)
        # kafka-python does not hand allow_auto_create_topics on to where it is used; reading must not make topics.
        self._client.cluster.config["allow_auto_create_topics"] = False
        return self._client

    def _metadata_arrived(self, _cluster: Any) -> None:
        self.metadata_is_new = True

    def patience(self, timeout: float) -> float:
        """Return how long to poll, and mend what kafka-python 3.0.12 forgets.

        A poll that ends while the group is joined anew forgets that it has to hear the answer, when new metadata was
        the cause: the member then owns nothing for ever. And an answer that comes between two polls is thrown away.
        """
        state = self.consumer.group_metadata().state
        if state == MemberState.REBALANCING:
            self.consumer._coordinator.request_rejoin()  # noqa: SLF001 - there is no public way
        return max(timeout, 0.0 if state == MemberState.STABLE else _JOIN_SECONDS)

    def ask(self) -> None:
        """Ask for more records, if there is a consumer."""
        if self.consumer is not None:
            kafka_fetching.ask(self.consumer._fetcher)  # noqa: SLF001 - there is no public way

    def refresh_metadata(self) -> bool:
        """Ask the brokers for news, and tell whether they answered; no signal is heeded while this waits."""
        answer = self.cluster.request_update()
        deadline = self._clock.monotonic() + _REFRESH_SECONDS
        while not answer.is_done and self._clock.monotonic() < deadline:
            time.sleep(0.005)
        return bool(answer.is_done)

    @property
    def away(self) -> bool:
        """Whether no broker is connected, the group's coordinator among them."""
        nodes = [broker.node_id for broker in self.cluster.brokers()]
        nodes.append(self.cluster.get_coordinator(self._config.group))
        return not any(self._client.connected(node) for node in nodes)

    def find_brokers(self) -> None:
        """Begin again at the bootstrap servers: all the brokers that are known may have moved."""
        self._client_log.forget()
        try:
            self.consumer.bootstrap(timeout_ms=_CONNECT_MS, refresh=True)
        except KafkaError as error:
            raise self._trouble.unreachable(self._client_log.reason) from error

    def close(self, patience_ms: int) -> None:
        """Leave the group, waiting so long at most; what is not connected is closed all the same."""
        consumer, self.consumer = self.consumer, None
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=patience_ms)
        self._client_log.detach()
