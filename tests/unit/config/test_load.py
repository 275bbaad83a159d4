from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from detector.config.load import load, parse
from detector.config.sections import Config, KafkaSource, WebhookSink
from detector.errors import ConfigError

SMALLEST = """\
source:
  kind: kafka
  topics: [metrics]
events:
  features: [cpu]
"""

KEY = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
DIGITS = "0123456789" * 4


def refused(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "config.yaml", environ=environ or {})
    return str(caught.value).splitlines()


def accepted(text: str, environ: Mapping[str, str] | None = None) -> Config:
    return parse(text, "config.yaml", environ=environ or {})


def test_the_smallest_configuration_has_defaults_for_the_rest() -> None:
    config = accepted(SMALLEST)
    assert config.http.port == 9108
    assert config.blocks.rows == 256
    assert [f.name for f in config.events.features] == ["cpu"]


def test_a_section_with_nothing_under_it_has_its_defaults() -> None:
    assert accepted(SMALLEST + "log:\nhttp:\n  # port: 1\n") == accepted(SMALLEST)


def test_an_unknown_key_names_file_line_path_and_the_nearest_key() -> None:
    assert refused(SMALLEST + "incidents:\n  repeat_intrval: 5m\n") == [
        "config.yaml:7: incidents.repeat_intrval: unknown key, did you mean `repeat_interval`?"
    ]


def test_a_key_in_the_wrong_section_is_told_where_it_belongs() -> None:
    assert refused(SMALLEST + "model:\n  max_alerts: 5\n") == [
        "config.yaml:7: model.max_alerts: unknown key here; it belongs to `outbox`"
    ]


def test_a_key_like_no_other_lists_the_known_ones() -> None:
    assert refused(SMALLEST + "store:\n  zzz: 1\n") == [
        "config.yaml:7: store.zzz: unknown key; known here: `path`, `keep_events`"
    ]


def test_an_unknown_key_inside_a_list_of_kinds_is_placed_without_the_kind() -> None:
    assert refused(SMALLEST + "sinks:\n  - kind: kafka\n    topic: a\n    nam: x\n") == [
        "config.yaml:9: sinks[0].nam: unknown key, did you mean `name`?"
    ]


def test_a_key_named_as_its_kind_keeps_its_own_path() -> None:
    assert refused("source:\n  kind: kafka\n  topics: [a]\n  kafka: 1\nevents: {features: [a]}\n") == [
        "config.yaml:4: source.kafka: unknown key here; it belongs to the top level"
    ]


def test_an_unknown_kind_names_the_kinds() -> None:
    assert refused("source: {kind: kafak}\nevents: {features: [a]}\n") == [
        "config.yaml:1: source: found kind `kafak`, expected one of `kafka`, `computer`, `file`; did you mean `kafka`?"
    ]


def test_a_missing_kind_names_the_kinds() -> None:
    known = "`webhook`, `alertmanager`, `apprise`, `kafka`, `stdout`"
    assert refused(SMALLEST + "sinks:\n  - url: http://a/\n") == [
        f"config.yaml:7: sinks[0]: `kind` is missing, expected one of {known}"
    ]


def test_a_missing_key_says_what_it_means() -> None:
    assert refused(SMALLEST + "sinks:\n  - kind: kafka\n") == ["config.yaml:7: sinks[0].topic: is missing: The topic."]


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("http:\n  port: 99999", "http.port: found `99999`, expected at most 65535"),
        ("http:\n  enabled: maybe", "http.enabled: found `maybe`, expected true or false"),
        ("model:\n  centroids: 1.5", "model.centroids: found `1.5`, expected a whole number"),
        ("model:\n  centroids: [1]", "model.centroids: found a list of 1, expected a whole number"),
        ("alerting:\n  false_alarm_rate: .nan", "alerting.false_alarm_rate: found `nan`, expected a finite number"),
        ("incidents:\n  repeat_interval: .inf", "incidents.repeat_interval: found `inf`, expected a finite duration"),
        (
            "log:\n  level: loud",
            "log.level: found `loud`, expected 'debug', 'info', 'warning' or 'error'",
        ),
        (
            "dead_letters:\n  max_bytes: [1]",
            "dead_letters.max_bytes: found a list of 1, expected a quantity such as 64MB or 4MiB",
        ),
        ("http:\n  port: no", "http.port: found `false`, expected a number"),
        ("alerting:\n  critical_decades: on", "alerting.critical_decades: found `true`, expected a number"),
        ("blocks:\n  - 1", "blocks: found a list of 1, expected a mapping"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(setting: str, text: str) -> None:
    (line,) = refused(SMALLEST + setting + "\n")
    assert line.removeprefix("config.yaml:").split(": ", 1)[1] == text


def test_a_value_that_fits_no_member_of_a_union_is_told_once() -> None:
    (line,) = refused(SMALLEST + "  where:\n    name: [cpu]\n")
    assert line.startswith("config.yaml:7: events.where.name: found a list of 1, expected text")
    assert line.endswith("or a whole number or a number or true or false")


def test_all_problems_are_listed_in_the_order_of_the_file() -> None:
    lines = refused(SMALLEST + "http:\n  prt: 1\n  port: no\nlog:\n  level: ${LEVEL}\nlog: 1\n")
    assert [line.split(": ")[1] for line in lines] == ["http.prt", "http.port", "log.level", "log"]


def test_rules_between_keys_are_told_at_their_section() -> None:
    assert refused(SMALLEST + "kafka:\n  sasl: {mechanism: PLAIN, username: u}\n") == [
        "config.yaml:7: kafka.sasl: PLAIN needs `username` and `password`"
    ]
    assert refused("source: {kind: kafka}\nevents: {features: [a]}") == [
        "config.yaml:1: source: give either `topics` or `pattern`"
    ]
    assert refused(SMALLEST + "  format: avro\n") == ["config.yaml:1: `events.format: avro` needs `events.registry`"]


def test_a_rate_that_no_reference_of_that_size_can_tell_is_refused() -> None:
    (line,) = refused(SMALLEST + "alerting: {false_alarm_rate: 1e-5, reference: 1000}\n")
    assert line == (
        "config.yaml:6: alerting: a reference of half-life 1,000 can tell rates down to 2.3e-05, so that with "
        "`false_alarm_rate: 1e-05` nothing would ever alert; raise `reference` or `false_alarm_rate`"
    )
    assert accepted(SMALLEST + "alerting: {false_alarm_rate: 3e-5, reference: 1000}\n").alerting.reference == 1000


@pytest.mark.parametrize("start", ["earliest", "latest", "2026-11-01T00:00:00Z", "2026-11-01 00:00:00+02:00"])
def test_a_start_is_a_word_or_a_time(start: str) -> None:
    source = accepted(f"source: {{kind: kafka, topics: [a], start: {start}}}\nevents: {{features: [a]}}").source
    assert isinstance(source, KafkaSource)
    assert source.start == start


@pytest.mark.parametrize("start", ["yesterday", "2026-11-01T00:00:00", "2026-13-01T00:00:00Z"])
def test_a_start_that_is_no_place_is_refused(start: str) -> None:
    (line,) = refused(f"source: {{kind: kafka, topics: [a], start: '{start}'}}\nevents: {{features: [a]}}")
    assert f"source.start: found `{start}`, expected `earliest`, `latest` or a time" in line


def test_a_pattern_that_is_no_regular_expression_is_refused() -> None:
    (line,) = refused("source: {kind: kafka, pattern: 'a('}\nevents: {features: [a]}")
    assert "source.pattern: found `a(`, expected a regular expression" in line


def test_names_may_be_text_with_commas() -> None:
    config = accepted(
        "source: {kind: kafka, topics: '${T}'}\nkafka: {bootstrap_servers: 'a:1, b:2'}\nevents: {features: [a]}",
        {"T": "x,y"},
    )
    assert isinstance(config.source, KafkaSource)
    assert config.source.topics == ["x", "y"]
    assert config.kafka.bootstrap_servers == ["a:1", "b:2"]


# --- secrets


def webhook(secret: str, header: str, url: str = "http://127.0.0.1/") -> str:
    lists = f"    secrets:\n      - {secret}\n    headers:\n      X: {header}\n"
    return SMALLEST + f"sinks:\n  - kind: webhook\n    url: {url}\n{lists}"


@pytest.mark.parametrize(
    "text",
    [
        webhook("[hunter2]", "ok"),
        webhook("{vlaue: hunter2}", "ok"),
        webhook("{value: hunter2, file: /etc/hunter2}", "ok"),
        webhook("ok", "[hunter2]"),
        webhook("ok", "ok", "ftp://hunter2:hunter2@x/hunter2?hunter2"),
        webhook("ok", "ok", "http://hunter2:hunter2@/hunter2"),
        webhook("*hunter2", "ok"),
        webhook("!hunter2", "ok"),
        SMALLEST + "  registry: {url: 'http://x', password: 0xhunter2, pasword: hunter2}\n",
        SMALLEST + "  registry: {url: 'http://x', password: [hunter2]}\n",
        SMALLEST + "kafka: {sasl: {mechanism: PLAIN, username: 1, password: {value: [hunter2]}}}\n",
        SMALLEST + "kafka: {sasl: {mechanism: PLAIN, password: hunter2}}\n",
        SMALLEST + "kafka:\n  sasl: |\n    password: hunter2\n",
        SMALLEST + "sinks: secrets=hunter2\n",
        SMALLEST + "kafka: {sasl: {mechanism: PLAIN, username: u, password: '${X:-hunter2}'}, token: hunter2}\n",
    ],
)
def test_an_error_never_prints_a_secret(text: str) -> None:
    lines = refused(text)
    assert lines
    assert not [line for line in lines if "hunter2" in line]


def test_a_secret_that_looks_like_a_number_must_be_quoted() -> None:
    (line,) = refused(webhook("0123", "ok"))
    assert line == "config.yaml:10: sinks[0].secrets[0]: a secret is text: put it in quotes"


def test_a_secret_from_the_environment_stays_text_whatever_it_looks_like() -> None:
    (sink,) = accepted(webhook("${S}", "ok"), {"S": DIGITS}).sinks
    assert isinstance(sink, WebhookSink)
    assert [s.reveal() for s in sink.secrets] == [DIGITS]


def test_an_empty_item_among_signing_secrets_is_left_out() -> None:
    (sink,) = accepted(webhook("${OLD_SECRET:-}", "ok")).sinks
    assert isinstance(sink, WebhookSink)
    assert sink.secrets == []


def test_a_secret_is_not_in_the_configuration_s_own_text() -> None:
    shown = repr(accepted(webhook(KEY, "hunter2")))
    assert "hunter2" not in shown
    assert KEY not in shown


def test_files_that_cannot_be_read_are_named_with_their_place(tmp_path: Path) -> None:
    lines = refused(
        SMALLEST
        + f"kafka:\n  tls:\n    ca_file: {tmp_path}/ca.pem\n"
        + f"sinks:\n  - kind: webhook\n    url: http://a/\n    secrets:\n      - file: {tmp_path}/secret\n"
    )
    assert lines == [
        f"config.yaml:8: kafka.tls.ca_file: cannot read {tmp_path}/ca.pem: No such file or directory",
        f"config.yaml:13: sinks[0].secrets[0].file: cannot read {tmp_path}/secret: No such file or directory",
    ]


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{KEY}\n")
    (sink,) = accepted(webhook(f"file: {tmp_path}/secret", "ok")).sinks
    assert isinstance(sink, WebhookSink)
    assert [s.reveal() for s in sink.secrets] == [KEY]


def test_a_secret_in_a_file_is_judged_as_one_in_place_is(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "header").write_text("two\nlines\n")
    place = f"file: {tmp_path}/"
    assert [
        line.partition(": expected")[0] for line in refused(webhook(place + "secret", "{" + place + "header}"))
    ] == [
        "config.yaml:10: sinks[0].secrets[0]",
        "config.yaml:12: sinks[0].headers.X",
    ]


def test_a_certificate_that_cannot_be_used_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate\n")
    (line,) = refused(SMALLEST + f"kafka:\n  tls:\n    ca_file: {tmp_path}/ca.pem\n")
    assert line.startswith(f"config.yaml:7: kafka.tls.ca_file: {tmp_path}/ca.pem cannot be used (")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            SMALLEST.replace("cpu", "a..b"),
            "config.yaml:5: events.features[0]: the name `a..b` cannot be read as a path",
        ),
        (
            SMALLEST.replace("cpu", "{name: cpu, path: a.}"),
            "config.yaml:5: events.features[0].path: found `a.`, expected",
        ),
        (SMALLEST + "  entity: $host\n", "config.yaml:6: events.entity: found `$host`, expected `$key` or"),
        (
            SMALLEST + "  entity: cpu\n",
            "config.yaml:4: events: the path `cpu` is read as a name and as a number; change",
        ),
        (SMALLEST + "  where: {cpu.name: x}\n", "config.yaml:4: events: `cpu` would have to be a value, and an object"),
        (
            SMALLEST.replace("metrics", "my metrics"),
            "config.yaml:3: source.topics: found a list of 1, expected the name of",
        ),
        (
            webhook("whsec_c2hvcnQ=", "ok"),
            "config.yaml:10: sinks[0].secrets[0]: found (not shown), expected whsec_ and",
        ),
        (webhook(KEY, "ok").replace("X:", "webhook-id:"), "config.yaml:12: sinks[0].headers.webhook-id: the header"),
        (
            SMALLEST + "dead_letters: {topic: ..}\n",
            "config.yaml:6: dead_letters.topic: found `..`, expected the name of",
        ),
        (
            SMALLEST + "routes: [{matchers: [host=a], sinks: [stdout]}]\n",
            "config.yaml:1: `routes` or `notification.group_by` name labels that no incident has: host; expected topic",
        ),
        (
            SMALLEST + "routes: [{matchers: [severity=page], sinks: [stdout]}]\n",
            'config.yaml:1: `routes` can never take anything: severity="page": the severity of an incident is one of',
        ),
        (
            SMALLEST + "notification: {entity_labels: '(?P<site>.*)-.*', group_by: [site, role]}\n",
            "config.yaml:1: `routes` or `notification.group_by` name labels that no incident has: role; expected topic",
        ),
        (
            SMALLEST + "http: {host: 'http://0.0.0.0'}\n",
            "config.yaml:6: http.host: found `http://0.0.0.0`, expected an address or a name of this machine alone",
        ),
        (SMALLEST + "http: {host: a..b}\n", "config.yaml:6: http.host: found `a..b`, expected an address"),
        (SMALLEST + "http: {host: 127.0.0.1:9108}\n", "config.yaml:6: http.host: found `127.0.0.1:9108`, expected an"),
        (
            SMALLEST + "http: {host: 127.0.0.256}\n",
            "config.yaml:6: http.host: found `127.0.0.256`, expected an address",
        ),
        (SMALLEST + "http: {host: ''}\n", "config.yaml:6: http.host: found"),
        (
            SMALLEST + "sinks: [{kind: alertmanager, url: 'http://a:9093/api/v1/alerts'}]\n",
            "config.yaml:6: sinks[0].url: Alertmanager's API v1 is no more; give its URL alone",
        ),
        (
            SMALLEST + "  labels: {site: a, 9b: b}\n",
            "config.yaml:6: events.labels.9b: the label `9b` needs a name as Prometheus",
        ),
        (
            SMALLEST + "  labels: {severity: a}\n",
            "config.yaml:6: events.labels.severity: the label `severity` has a meaning of its own",
        ),
        (
            SMALLEST + "  labels: {site: a, role: a.b}\n",
            "config.yaml:4: events: labels: `a` would have to be a value, and an object for `a.b`",
        ),
        (
            SMALLEST + "  labels: {site: a}\nnotification: {entity_labels: '(?P<site>.*)-.*'}\n",
            "config.yaml:1: `notification.entity_labels` and `events.labels` both give the label site",
        ),
        (
            SMALLEST + "notification: {entity_labels: '(?P<topic>.*)-.*'}\n",
            "config.yaml:6: notification.entity_labels: every incident has the label topic already",
        ),
        (
            SMALLEST + "sinks: [{kind: stdout, name: notification}]\n",
            "config.yaml:1: sink names must differ (and not be `dead_letters` or `notification`); given twice: notif",
        ),
    ],
)
def test_what_would_stop_the_daemon_at_start_is_told_with_its_line(text: str, told: str) -> None:
    (line,) = refused(text)
    assert line.startswith(told)


# --- the file


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read: No such file or directory; give"):
        load(tmp_path / "absent.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="not UTF-8 text: byte 3 is 0xff"):
        load(tmp_path / "c.yaml")


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "word"])
def test_a_file_that_is_no_mapping_is_refused(text: str) -> None:
    (line,) = refused(text)
    assert "expected a mapping with `source` and `events`" in line


def test_text_that_is_not_yaml_names_the_line() -> None:
    (line,) = refused("source:\n  kind: [kafka\nevents: 1\n")
    assert line.startswith("config.yaml:3: not valid YAML: ")


def test_what_yaml_expected_is_shown_and_names_of_aliases_are_not() -> None:
    (line,) = refused("source: {kind: kafka\nevents: [\n")
    assert line.endswith("expected ',' or '}', but got ':'")
    (line,) = refused("source:\n\tkind: kafka\n")
    assert line.endswith(r"found character '\t' that cannot start any token")
    (line,) = refused("source: *sesame\n")
    assert line.endswith("found undefined alias (not shown)")


def test_a_reference_that_breaks_a_flow_list_is_explained() -> None:
    (line,) = refused("source: {kind: kafka, topics: [${T}]}\n")
    assert line.endswith("inside [ ] or { }, put ${...} in quotes")
