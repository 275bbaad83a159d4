from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from detector.config import sections
from detector.decoding.registry import Registry, UnknownSchemaError
from detector.decoding.schemas import SchemaError
from detector.errors import ConfigError, RegistryUnavailableError
from tests.support.registry import SchemaRegistry, serving

EVENT = {"type": "record", "name": "Event", "fields": [{"name": "a", "type": "double"}]}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def client(server: SchemaRegistry, **given: Any) -> Registry:
    return Registry(sections.Registry.model_validate({"url": server.url, **given}))


def test_a_schema_is_fetched_once() -> None:
    with serving(SchemaRegistry()) as server:
        number = server.register(EVENT)
        registry = client(server, url=server.url + "/")
        assert registry.schema(number) is registry.schema(number)
        assert registry.schema(number)["name"] == "Event"
        assert server.requests == [f"/schemas/ids/{number}"]


def test_an_unknown_schema_is_asked_for_again_only_after_a_while() -> None:
    clock = Clock()
    with serving(SchemaRegistry()) as server:
        registry = Registry(sections.Registry(url=server.url), clock)
        for _ in range(3):
            with pytest.raises(SchemaError, match=r"schema 1: the registry does not know it.*40403"):
                registry.schema(1)
        assert len(server.requests) == 1
        server.register(EVENT)
        clock.now = 29.9
        with pytest.raises(SchemaError):
            registry.schema(1)
        clock.now = 30.1
        assert registry.schema(1)["name"] == "Event"


def test_the_memory_of_unknown_schemas_is_bounded() -> None:
    registry = Registry(sections.Registry(url="http://127.0.0.1:1"))

    def unknown(number: int) -> None:
        message = "unknown"
        raise UnknownSchemaError(message)

    registry._fetch = unknown  # type: ignore[method-assign]  # a thousand requests show nothing more
    for number in range(1100):
        with pytest.raises(SchemaError):
            registry.schema(number)
    assert len(registry._unusable) == 1000


def test_a_schema_may_refer_to_others() -> None:
    host = {"type": "record", "name": "Host", "namespace": "x", "fields": [{"name": "name", "type": "string"}]}
    tags = {"type": "record", "name": "Tags", "namespace": "x", "fields": [{"name": "host", "type": "Host"}]}
    event = {
        "type": "record",
        "name": "Event",
        "fields": [{"name": "tags", "type": "x.Tags"}, {"name": "on", "type": "x.Host"}],
    }
    to_host = {"name": "x.Host", "subject": "hosts/all", "version": 1}
    to_tags = {"name": "x.Tags", "subject": "tags", "version": 1}
    with serving(SchemaRegistry()) as server:
        server.register(host, subject="hosts/all")
        server.register(tags, subject="tags", references=[to_host])
        number = server.register(event, references=[to_tags, to_host])
        union = server.register(["x.Tags", "x.Host"], references=[to_tags, to_host])
        missing = server.register(event, references=[{"name": "x.Tags", "subject": "none", "version": 3}])
        assert client(server).schema(number)["name"] == "Event"
        assert [branch["name"] for branch in client(server).schema(union)] == ["x.Tags", "x.Host"]
        with pytest.raises(SchemaError, match=r"does not know it, or what it refers to.*40402"):
            client(server).schema(missing)


@pytest.mark.parametrize(
    ("schema", "kind", "why"),
    [
        ('syntax = "proto3";', "PROTOBUF", "its type is PROTOBUF, expected AVRO"),
        ("{not json", "AVRO", "cannot be parsed as Avro"),
        ({"type": "record", "name": "E", "fields": [{"name": "x", "type": "Nowhere"}]}, "AVRO", "cannot be parsed"),
        (
            {"type": "record", "name": "E", "fields": [{"name": "next", "type": ["null", "E"]}]},
            "AVRO",
            "its type E holds itself",
        ),
        (
            {"type": "record", "name": "E", "fields": [{"name": "m", "type": {"type": "map", "values": "E"}}]},
            "AVRO",
            "its type E holds itself",
        ),
        ({"type": "array", "items": "null"}, "AVRO", "items that take no bytes"),
        (
            {"type": "array", "items": {"type": "record", "name": "E", "fields": [{"name": "n", "type": "null"}]}},
            "AVRO",
            "items that take no bytes",
        ),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, "AVRO", "items that take no bytes"),
    ],
)
def test_a_schema_that_cannot_be_used_says_why(schema: Any, kind: str, why: str) -> None:
    with serving(SchemaRegistry()) as server:
        number = server.register(schema, kind=kind)
        with pytest.raises(SchemaError, match=why):
            client(server).schema(number)


def test_a_type_may_be_used_twice() -> None:
    twice = {
        "type": "record",
        "name": "E",
        "fields": [
            {"name": "one", "type": {"type": "record", "name": "P", "fields": [{"name": "x", "type": "double"}]}},
            {"name": "two", "type": ["null", "P"]},
            {"name": "all", "type": {"type": "array", "items": "P"}},
        ],
    }
    with serving(SchemaRegistry()) as server:
        assert client(server).schema(server.register(twice))["name"] == "E"


@pytest.mark.parametrize(
    "broken",
    [
        (500, b'{"error_code":50001,"message":"Error in the backend data store"}'),
        (503, b""),
        (401, b'{"error_code":401}'),
        (404, b"<html>not here</html>"),
        (404, b'{"error_code":404,"message":"HTTP 404 Not Found"}'),
        (404, b"[]"),
        (200, b"<html>welcome</html>"),
    ],
)
def test_a_registry_that_does_not_answer_as_one_is_unavailable_and_nothing_is_remembered(
    broken: tuple[int, bytes],
) -> None:
    with serving(SchemaRegistry()) as server:
        number = server.register(EVENT)
        registry = client(server)
        server.broken = broken
        with pytest.raises(RegistryUnavailableError, match=r"events\.registry: http://127\.0\.0\.1:\d+ "):
            registry.schema(number)
        server.broken = None
        assert registry.schema(number)["name"] == "Event"


def test_a_registry_that_is_away_is_unavailable() -> None:
    with serving(SchemaRegistry()) as server:
        registry = client(server, timeout=2)
        registry.reach()
    with pytest.raises(RegistryUnavailableError):
        registry.reach()
    with pytest.raises(RegistryUnavailableError):
        registry.schema(1)


def test_basic_authentication_is_sent() -> None:
    with serving(SchemaRegistry(("me", "pässword"))) as server:
        number = server.register(EVENT)
        assert client(server, username="me", password="pässword").schema(number)["name"] == "Event"
        for wrong in ({}, {"username": "me"}, {"username": "me", "password": "x"}):
            with pytest.raises(RegistryUnavailableError, match="401"):
                client(server, **wrong).schema(number)


def test_files_that_cannot_be_read_are_told_by_their_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"events\.registry\.tls"):
        Registry(sections.Registry(url="https://host", tls=sections.Tls(ca_file=tmp_path / "none.pem")))
    given = {"url": "https://host", "username": "me", "password": {"file": tmp_path / "none"}}
    with pytest.raises(ConfigError, match=r"events\.registry\.password"):
        Registry(sections.Registry.model_validate(given))


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for this computer that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


def test_tls_trusts_the_configured_certificates_alone_and_shows_its_own(tmp_path: Path) -> None:
    cert_file, key_file = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    context.load_verify_locations(cert_file)
    context.verify_mode = ssl.CERT_REQUIRED
    own = {"cert_file": cert_file, "key_file": key_file}
    with serving(SchemaRegistry(), tls=context) as server:
        number = server.register(EVENT)
        assert client(server, tls={"ca_file": cert_file, **own}).schema(number)["name"] == "Event"
        with pytest.raises(RegistryUnavailableError, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
            client(server, tls=own).schema(number)
        with pytest.raises(RegistryUnavailableError):
            client(server, tls={"ca_file": cert_file}).schema(number)
