from __future__ import annotations

import pytest

from detector.cli.summary import duration, summary
from detector.config.load import parse

EVERYTHING = """\
source: {kind: kafka, pattern: "m.*", group: g, start: latest}
kafka:
  bootstrap_servers: [a:1, b:2]
  tls: {key_password: hunter2}
  sasl: {mechanism: PLAIN, username: u, password: hunter2}
events:
  format: avro
  registry: {url: "https://hunter2:hunter2@registry:8081/hunter2", password: hunter2}
  features: [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9]
  entity: host
  where: {name: cpu}
  labels: {site: site, rack: $headers.rack}
model: {half_life: {time: 7d}}
sinks:
  - {kind: webhook, name: hook, url: "https://hooks.example.com/hunter2?t=hunter2", secrets: ["${KEY}"]}
  - {kind: kafka, topic: alerts}
  - {kind: stdout}
routes:
  - {matchers: 'severity="critical"', sinks: hook, continue: true}
  - {matchers: site=ams, sinks: hook, group_by: [rack], mute_times: [nights]}
  - {sinks: [kafka, stdout]}
mute_times:
  - {name: nights, when: [{times: ["22:00-06:00"]}]}
notification: {mute_times: [nights]}
dead_letters: {topic: dead}
"""


EIGHT = "f0, f1, f2, f3, f4, f5, f6, f7"
OWN_TIME = "time: the record's own"
LABELLED = f"{OWN_TIME}; labels: site, rack"
KEY = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVu"


def summarised(text: str) -> list[tuple[str, str]]:
    return list(summary(parse(text, "c", environ={"KEY": KEY})))


def test_it_says_what_the_daemon_would_do() -> None:
    assert summarised(EVERYTHING) == [
        ("source", "Kafka a:1, b:2 (TLS and SASL PLAIN): topics matching m.*; group g, from latest"),
        (
            "events",
            f"avro (registry https://registry:8081), where name is cpu; 10 features: {EIGHT} and 2 more; {LABELLED}",
        ),
        ("model", "16 centroids for each entity (host) of each partition; half-life 200,000 rows or 7 d"),
        ("blocks", "512 rows or 10 s"),
        ("alerts", "5/day where nothing is wrong"),
        ("incidents", "one per entity, from the first anomalous row until 5 min and 20 rows of calm"),
        ("sink", "hook: webhook https://hooks.example.com, signed"),
        ("sink", "kafka: Kafka topic alerts at a:1, b:2 (TLS and SASL PLAIN)"),
        ("sink", "stdout: standard output"),
        ("route", 'severity="critical" to hook; and on to the next'),
        ("route", 'site="ams" to hook, by rack, muted in nights'),
        ("route", "everything to kafka, stdout"),
        ("messages", "to hook, by topic: after 5 s, changes after 1 min, again after 4 h; muted in nights"),
        ("dead letters", "Kafka topic dead, and the store's last 10,000 per partition"),
        ("store", "detector-state, a checkpoint every 10 s"),
        ("http", "http://127.0.0.1:9108/ (metrics, health)"),
    ]


def test_it_shows_no_secret() -> None:
    shown = str(summarised(EVERYTHING))
    assert "hunter2" not in shown
    assert KEY not in shown


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{kind: computer}", "this computer, every 200 ms"),
        ("{kind: file, path: /a/b.jsonl}", "file /a/b.jsonl"),
        ("{kind: kafka, topics: [a, b]}", "Kafka 127.0.0.1:9092: topics a, b; group detector, from earliest"),
    ],
)
def test_every_source_has_its_words(source: str, said: str) -> None:
    found = dict(summarised(f"source: {source}\nevents: {{features: [x]}}\nhttp: {{enabled: false}}\n"))
    assert found["source"] == said
    assert found["model"].startswith("16 centroids for each partition;")
    assert found["incidents"].startswith("one per partition,")
    assert found["http"] == "none"


def test_it_says_when_an_incident_opens_and_resolves() -> None:
    settings = "{open_after: {rows: 2, of: 5}, resolve_after: {rows: 1000, time: 1h}}"
    found = dict(summarised(f"source: {{kind: computer}}\nevents: {{features: [x]}}\nincidents: {settings}\n"))
    assert found["incidents"] == "one per partition, from 2 anomalous rows of 5 until 1,000 rows or 1 h of calm"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.02, "20 ms"), (1, "1 s"), (90, "1.5 min"), (3600, "1 h"), (604800, "7 d")]
)
def test_durations_are_written_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text
