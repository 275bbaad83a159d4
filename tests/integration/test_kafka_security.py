"""TLS and every SASL mechanism, against a real broker with certificates that the test makes."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from detector.errors import SourceUnavailableError
from tests.support.assignment import Reader
from tests.support.broker import Broker, wait_until
from tests.support.certificates import Authority
from tests.support.fixtures import require_broker
from tests.support.sources import kafka_source

PASSWORD = "open sesame"
_ATTEMPTS = 5
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
MODULES = {
    "PLAIN": f'plain.PlainLoginModule required user_alice="{PASSWORD}"',
    "SCRAM-SHA-256": "scram.ScramLoginModule required",
    "SCRAM-SHA-512": "scram.ScramLoginModule required",
    "OAUTHBEARER": 'oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker"',
}


class Secured:
    """One broker with a listener for each way to connect, and a topic with one record."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "certificates")
        stores = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.authority.issue("broker")),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.ca_file),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.other.ssl.keystore.type": "PEM",
            "listener.name.other.ssl.keystore.location": str(self.authority.issue("elsewhere", "192.0.2.1")),
        }
        self.broker = Broker(
            folder / "broker",
            listeners={"TLS": "SSL", "OTHER": "SSL", "MUTUAL": "SSL", "SASL": "SASL_PLAINTEXT", "BOTH": "SASL_SSL"},
            settings=stores | sasl("sasl") | sasl("both"),
            scram=[f"{mechanism}=[name=alice,password={PASSWORD}]" for mechanism in MECHANISMS[1:3]],
        )
        self.broker.start()
        self.topic = self.broker.create_topic()
        self.broker.produce(self.topic, [b"secret"])

    def reader(self, listener: str, **kafka: Any) -> Reader:
        """Return a reader of the topic through one listener; `kafka` is its section."""
        servers = {"bootstrap_servers": [f"127.0.0.1:{self.broker.port(listener)}"]}
        return Reader(kafka_source(self.broker, servers | kafka, topics=[self.topic]))

    def reads(self, listener: str, **kafka: Any) -> None:
        """Assert that the record can be read."""
        reader = self.reader(listener, **kafka)
        assert reader.read(1) == [b"secret"]
        reader.source.close()

    def refuses(self, listener: str, **kafka: Any) -> str:
        """Assert that the record cannot be read; return what is said.

        Of the last attempt of several that is; a broker under load may not have answered that one in time.
        """
        reader = self.reader(listener, **kafka)
        for _ in range(_ATTEMPTS):
            with pytest.raises(SourceUnavailableError) as caught:
                reader.read(1)
            if "timed out" not in str(caught.value):
                break
        reader.source.close()
        return str(caught.value)


def sasl(listener: str) -> dict[str, str]:
    """Return the settings of a listener that takes every mechanism."""
    modules = {
        f"listener.name.{listener}.{mechanism.lower()}.sasl.jaas.config": f"org.apache.kafka.common.security.{module};"
        for mechanism, module in MODULES.items()
    }
    return {f"listener.name.{listener}.sasl.enabled.mechanisms": ",".join(MECHANISMS), **modules}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    require_broker()
    made = Secured(tmp_path_factory.mktemp("secured"))
    yield made
    made.broker.stop()


def token(subject: str = "alice", life: float = 600.0) -> str:
    """Return an unsecured JSON web token, which the broker's validator for tests takes."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": subject, "iat": now, "exp": now + life})
    return "".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") + "." for p in parts)


def login(mechanism: str, password: str = PASSWORD) -> dict[str, Any]:
    if mechanism == "OAUTHBEARER":
        return {"mechanism": mechanism, "token": token()}
    return {"mechanism": mechanism, "username": "alice", "password": password}


# --- TLS


def test_tls_with_the_right_authority_is_read(secured: Secured) -> None:
    secured.reads("TLS", tls={"ca_file": str(secured.authority.ca_file)})


def test_another_authority_is_refused(secured: Secured, tmp_path: Path) -> None:
    said = secured.refuses("TLS", tls={"ca_file": str(Authority(tmp_path).ca_file)})
    assert "no secure connection to Kafka" in said
    assert "certificate verify failed" in said
    assert "check kafka.tls" in said


def test_the_systems_authorities_do_not_know_the_tests(secured: Secured) -> None:
    assert "certificate verify failed" in secured.refuses("TLS", tls={})


def test_a_certificate_for_another_host_is_refused_unless_names_are_not_checked(secured: Secured) -> None:
    ca_file = str(secured.authority.ca_file)
    assert "certificate verify failed" in secured.refuses("OTHER", tls={"ca_file": ca_file})
    secured.reads("OTHER", tls={"ca_file": ca_file, "check_hostname": False})


def test_a_broker_that_asks_for_a_certificate_gets_one(secured: Secured) -> None:
    ca_file, own = str(secured.authority.ca_file), str(secured.authority.issue("daemon"))
    secured.reads("MUTUAL", tls={"ca_file": ca_file, "cert_file": own, "key_file": own})


def test_a_daemon_without_a_certificate_is_told_where_one_is_asked_for(secured: Secured) -> None:
    said = secured.refuses("MUTUAL", tls={"ca_file": str(secured.authority.ca_file)})
    assert "no secure connection to Kafka" in said
    assert "check kafka.tls" in said


def test_tls_towards_a_plain_port_and_the_other_way_round_is_told(secured: Secured) -> None:
    assert "check kafka.tls" in secured.refuses("PLAINTEXT", tls={"ca_file": str(secured.authority.ca_file)})
    assert "the port may be one for TLS" in secured.refuses("TLS")


# --- SASL


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_each_mechanism_is_read_over_tls(secured: Secured, mechanism: str) -> None:
    secured.reads("BOTH", tls={"ca_file": str(secured.authority.ca_file)}, sasl=login(mechanism))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_each_mechanism_is_read_without_tls(secured: Secured, mechanism: str) -> None:
    secured.reads("SASL", sasl=login(mechanism))


@pytest.mark.parametrize("mechanism", MECHANISMS[:3])
def test_a_wrong_password_is_told_without_it(secured: Secured, mechanism: str) -> None:
    said = secured.refuses("SASL", sasl=login(mechanism, "open barley"))
    assert f"does not let user 'alice' in by {mechanism}" in said
    assert "check kafka.sasl" in said
    assert "barley" not in said


def test_an_expired_token_is_told_without_it(secured: Secured) -> None:
    old = token(life=-3600.0)
    said = secured.refuses("SASL", sasl={"mechanism": "OAUTHBEARER", "token": old})
    assert "does not let the bearer of kafka.sasl.token in by OAUTHBEARER" in said
    assert old not in said


def test_a_token_file_is_read_anew_at_each_login(secured: Secured, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(token(life=-3600.0), encoding="utf-8")
    reader = secured.reader("SASL", sasl={"mechanism": "OAUTHBEARER", "token": {"file": str(path)}})
    with pytest.raises(SourceUnavailableError):
        reader.read(1)
    path.write_text(token(), encoding="utf-8")

    def reads() -> bool:
        try:
            reader.turn()
        except SourceUnavailableError:
            return False
        return reader.values == [b"secret"]

    wait_until(reads, "the rotated token to be used")
    reader.source.close()


@pytest.fixture
def token_endpoint() -> Iterator[str]:
    """An OAuth 2 token endpoint that knows one client."""
    expected = "Basic " + base64.b64encode(b"detector:hush").decode()

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"]))
            known = self.headers["Authorization"] == expected and b"grant_type=client_credentials" in form
            body = json.dumps({"access_token": token(), "expires_in": 600}).encode() if known else b"{}"
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_token_comes_from_an_endpoint(secured: Secured, token_endpoint: str) -> None:
    client = {"token_url": token_endpoint, "client_id": "detector", "client_secret": "hush"}
    secured.reads("SASL", sasl={"mechanism": "OAUTHBEARER", **client})


def test_an_endpoint_that_refuses_is_told_without_the_secret(secured: Secured, token_endpoint: str) -> None:
    client = {"token_url": token_endpoint, "client_id": "detector", "client_secret": "loud"}
    said = secured.refuses("SASL", sasl={"mechanism": "OAUTHBEARER", **client})
    assert "cannot log in to Kafka" in said
    assert "answered 401" in said
    assert "loud" not in said


def test_a_mechanism_that_the_broker_does_not_offer_is_told(secured: Secured) -> None:
    assert "does not let user 'alice' in by PLAIN" in secured.refuses("PLAINTEXT", sasl=login("PLAIN"))
