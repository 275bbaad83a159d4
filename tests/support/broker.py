"""A real Apache Kafka for tests: one KRaft node from the jars that `tests/kafka/pom.xml` names."""

from __future__ import annotations

import base64
import random
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from tests.support import maven

POM = Path(__file__).parents[1] / "kafka" / "pom.xml"
START_SECONDS = 60.0


class BrokerUnavailableError(Exception):
    """No broker can be started here; the text says how to get one."""


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait for a condition with a bound; AssertionError names what did not come about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.02)


def free_port() -> int:
    """Return a free TCP port below the range from which outgoing connections get theirs."""
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def broker_classpath() -> str:
    """Return the Java class path of the broker; Maven fetches the jars at the first call."""
    try:
        return maven.classpath(POM)
    except maven.MavenUnavailableError as error:
        message = f"needs a Kafka broker: {error}; or set KAFKA_BOOTSTRAP_SERVERS"
        raise BrokerUnavailableError(message) from error


class Cluster:
    """What tests do with a cluster, whoever started it."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    @contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        client = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            yield client
        finally:
            client.close()

    def topic_name(self, stem: str = "events") -> str:
        """Return a name that no other test uses."""
        return f"{stem}-{uuid.uuid4().hex[:8]}"

    def create_topic(self, name: str = "", partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Create a topic (of a name of its own, if none is given) and wait until it has leaders; returns its name."""
        name = name or self.topic_name()
        topic = {"num_partitions": partitions, "replication_factor": 1, "configs": dict(config or {})}
        with self.admin() as admin:
            admin.create_topics({name: topic}, wait_for_metadata=True)
        return name

    def delete_topic(self, name: str) -> None:
        """Delete a topic and wait until it is gone."""
        with self.admin() as admin:
            admin.delete_topics([name])
            wait_until(lambda: name not in admin.list_topics(), f"topic {name} to be gone")

    def add_partitions(self, topic: str, total: int) -> None:
        with self.admin() as admin:
            admin.create_partitions({topic: total})

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """Truncate a partition's log below an offset."""
        with self.admin() as admin:
            admin.delete_records({TopicPartition(topic, partition): before})

    @contextmanager
    def producer(self, **settings: Any) -> Iterator[KafkaProducer]:
        """Yield a producer; leaving waits for all it was given."""
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=1, **settings)
        try:
            yield producer
            producer.flush()
        finally:
            producer.close(timeout=5)

    def produce(
        self,
        topic: str,
        values: Iterable[bytes | None],
        *,
        partition: int | None = None,
        key: bytes | None = None,
        timestamp_ms: int | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        compression: str | None = None,
    ) -> None:
        """Write records and wait until all are acknowledged."""
        with self.producer(compression_type=compression) as producer:
            sent = [
                producer.send(topic, value, key, list(headers), partition=partition, timestamp_ms=timestamp_ms)
                for value in values
            ]
            producer.flush()
            for future in sent:
                future.get(timeout=30)


class Broker(Cluster):
    """A broker of the test's own: a child process on a folder and ports that stay the same over restarts.

    `listeners` adds listeners to the plain one: name to security protocol (their ports: `port(name)`); `settings`
    are lines of server.properties; `scram` gives --add-scram arguments.
    """

    def __init__(
        self,
        folder: Path,
        *,
        listeners: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        scram: Sequence[str] = (),
        java: Sequence[str] = ("-Xms128m", "-Xmx512m"),
    ) -> None:
        protocols = {"PLAINTEXT": "PLAINTEXT", **(listeners or {}), "CONTROLLER": "PLAINTEXT"}
        self._ports = {name: free_port() for name in protocols}
        super().__init__(f"127.0.0.1:{self._ports['PLAINTEXT']}")
        self.folder = folder
        self._java = ["java", *java, "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        self._java += ["-cp", broker_classpath()]
        self._properties = folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        lines = {**self._server_properties(protocols), **(settings or {})}
        self._properties.write_text("".join(f"{k}={v}\n" for k, v in lines.items()), encoding="utf-8")
        self._format(scram)

    def _server_properties(self, protocols: Mapping[str, str]) -> dict[str, str]:
        urls = {name: f"{name}://127.0.0.1:{port}" for name, port in self._ports.items()}
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self._ports['CONTROLLER']}",
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join(urls.values()),
            "advertised.listeners": ",".join(url for name, url in urls.items() if name != "CONTROLLER"),
            "listener.security.protocol.map": ",".join(f"{name}:{p}" for name, p in protocols.items()),
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.folder / "logs"),
            "broker.heartbeat.interval.ms": "500",
            "broker.session.timeout.ms": "3000",
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "offsets.topic.num.partitions": "1",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "log.cleaner.dedupe.buffer.size": "2097152",
            "file.delete.delay.ms": "100",
        }

    def _format(self, scram: Sequence[str]) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # One argument, as an id may begin with a dash.
        command = [*self._java, "kafka.tools.StorageTool", "format", "--standalone", f"--cluster-id={cluster_id}"]
        command += ["--config", str(self._properties), *(part for user in scram for part in ("--add-scram", user))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
        assert done.returncode == 0, f"the broker's folder cannot be formatted: {done.stdout}{done.stderr}"

    def port(self, listener: str) -> int:
        return self._ports[listener]

    @property
    def log(self) -> str:
        """What the broker has said (warnings and errors)."""
        return (self.folder / "broker.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start and wait until it serves; again after `stop` or `kill`, with everything it had."""
        assert self._process is None, "the broker is running already"
        with (self.folder / "broker.log").open("ab") as log:
            command = [*self._java, "kafka.Kafka", str(self._properties)]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until(self._serves, "the broker to serve", START_SECONDS)
        except BaseException:
            self.kill()
            raise

    def _serves(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the broker ended while starting: {self.log[-3000:]}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self._ports["PLAINTEXT"])) != 0:
                return False
        try:
            with self.admin() as admin:
                return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False

    def stop(self) -> None:
        """Shut down in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Hold it: connections stay open, and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=20)
        self._process = None
