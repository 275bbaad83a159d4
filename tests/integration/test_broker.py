"""The broker that the other tests rely on is a real one, and keeps what it has over a kill."""

from __future__ import annotations

from kafka import KafkaConsumer, TopicPartition

from tests.support.broker import Cluster
from tests.support.fixtures import BrokerFactory


def end_offset(cluster: Cluster, topic: str) -> int:
    consumer = KafkaConsumer(bootstrap_servers=cluster.bootstrap)
    try:
        end: int = consumer.end_offsets([TopicPartition(topic, 0)])[TopicPartition(topic, 0)]
        return end
    finally:
        consumer.close()


def test_the_shared_broker_takes_records(broker: Cluster) -> None:
    topic = broker.create_topic()
    broker.produce(topic, [b"one", b"two"])
    assert end_offset(broker, topic) == 2
    broker.delete_topic(topic)


def test_a_broker_killed_and_started_again_has_its_records_and_address(new_broker: BrokerFactory) -> None:
    own = new_broker()
    topic = own.create_topic()
    own.produce(topic, [b"one"])
    own.kill()
    own.start()
    own.produce(topic, [b"two"])
    assert end_offset(own, topic) == 2
