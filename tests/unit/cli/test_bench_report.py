from __future__ import annotations

import io
import json
import math

from rich.console import Console

from detector.cli.bench_report import as_json, tables
from detector.quality.evaluation import DETECTOR, SCORE, Evaluation, Judgement
from detector.quality.measures import Quality
from detector.quality.spans import Found

NAB = {"standard": 57.31, "reward_low_FP_rate": 50.0, "reward_low_FN_rate": 61.0}
METRICS = [
    Evaluation(
        "one",
        "series",
        "metrics",
        {
            DETECTOR: Judgement(Quality(0.8, 0.4), {}),
            SCORE: Judgement(Quality(0.7, 0.3), {}),
            "a peer": Judgement(Quality(0.6, 0.2), {}),
        },
        12_345.67,
        Found(8, 6, 5400.0),
    ),
    Evaluation(
        "two",
        "series",
        "metrics",
        {
            DETECTOR: Judgement(Quality(1.0, 0.6), {}),
            SCORE: Judgement(Quality(0.7, 0.3), {}),
            "a peer": Judgement(Quality(0.5, 0.1), {}),
        },
        1000.0,
        Found(4, 0, None),
    ),
]
CORPUS = Evaluation(
    "nab", "nab", "metrics", {DETECTOR: Judgement(Quality(math.nan, 0.25), NAB)}, 10.0, Found(0, 0, None)
)
EVENTS = Evaluation("three", "events", "events", {DETECTOR: Judgement(Quality(0.95, 0.5), {})}, 10.0, None)


def lines(*evaluations: Evaluation) -> list[str]:
    out = io.StringIO()
    for table in tables(evaluations):
        Console(file=out, width=160).print(table)
    return [" ".join(line.split()) for line in out.getvalue().splitlines() if line.strip()]


def test_the_json_has_exactly_the_promised_keys_on_one_line() -> None:
    text = as_json([*METRICS, EVENTS])
    assert "\n" not in text
    assert json.loads(text) == {
        "sets": {
            "one": {"roc": 0.8, "ap": 0.4, "preset": "metrics", "events_per_second": 12345.7},
            "two": {"roc": 1.0, "ap": 0.6, "preset": "metrics", "events_per_second": 1000.0},
            "three": {"roc": 0.95, "ap": 0.5, "preset": "events", "events_per_second": 10.0},
        },
        "groups": {"series": {"roc": 0.9, "ap": 0.5}, "events": {"roc": 0.95, "ap": 0.5}},
    }


def test_the_json_has_nabs_scores_where_there_are_any_and_null_for_what_nothing_decides() -> None:
    told = json.loads(as_json([CORPUS]))
    assert told["nab"] == {"nab": NAB}
    assert told["sets"]["nab"]["roc"] is None
    assert told["groups"] == {"nab": {"roc": None, "ap": 0.25}}


def test_the_json_of_nothing_is_empty() -> None:
    assert json.loads(as_json([])) == {"sets": {}, "groups": {}}


def test_a_group_s_table_has_a_line_a_detector_and_their_means() -> None:
    assert lines(*METRICS) == [
        "series: ROC-AUC, average precision",
        "one two mean",
        "─" * (len("─") * next(len(line) for line in lines(*METRICS) if line.startswith("─"))),
        "detector .800 .400 1.000 .600 .900 .500",
        "detector, by its score .700 .300 .700 .300 .700 .300",
        "a peer .600 .200 .500 .100 .550 .150",
        "events/s 12,346 1,000",
        "spans found 6 of 8 (75 %) 0 of 4 (0 %)",
        "median delay 1.5 h -",
        "spans: at one false alert per entity and week, of the detector",
    ]


def test_each_group_has_its_table() -> None:
    assert [line for line in lines(*METRICS, EVENTS) if line.endswith("average precision")] == [
        "series: ROC-AUC, average precision",
        "events: ROC-AUC, average precision",
    ]
    assert not any("spans" in line for line in lines(EVENTS))


def test_nabs_scores_stand_beside_their_set() -> None:
    told = lines(CORPUS)
    assert "nab NAB standard NAB reward low FP rate NAB reward low FN rate mean" in told
    assert "detector - .250 57.3 50.0 61.0 - .250" in told
    assert "spans found -" in told
