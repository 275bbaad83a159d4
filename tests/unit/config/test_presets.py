"""Presets: what kind of stream it is changes the defaults of the model, and nothing that is given."""

from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from detector.config.detection import Detection
from detector.config.load import parse
from detector.config.schema import schema
from detector.config.sections import Config, HalfLife, Model
from detector.errors import ConfigError
from detector.models.shape import rules_of, shape_of

SMALLEST = "source: {kind: kafka, topics: [a]}\nevents: {features: [cpu]}\n"
WEEK = 7 * 86400.0


def config(more: str = "", **environ: str) -> Config:
    return parse(SMALLEST + more, "c.yaml", environ=environ)


def test_events_is_the_default_and_changes_nothing() -> None:
    assert config().preset == "events"
    assert config().model == config("preset: events\n").model == Model()
    model = config().model
    assert (model.mass, model.scale, model.smoothing, model.gate) == (0.8, "auto", None, None)
    assert model.half_life == HalfLife(events=200_000, time=None)


def test_metrics_smooths_and_gates_and_forgets_by_time() -> None:
    model = config("preset: metrics\n").model
    assert (model.mass, model.scale, model.smoothing, model.gate) == (0.95, "within", [1, 10, 100], 1.5)
    assert model.half_life == HalfLife(events=None, time=WEEK)
    assert (model.relations, model.promote_returns) == ("auto", 5)
    plain = {"scale": "auto", "mass": 0.8, "smoothing": None, "gate": None, "half_life": HalfLife(), "relations": False}
    plain |= {"promote_returns": None}
    assert model.model_copy(update=plain) == Model()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{mass: 0.5}", {"mass": 0.5, "smoothing": [1, 10, 100]}),
        ("{smoothing: null, gate: null}", {"smoothing": None, "gate": None, "mass": 0.95}),
        ("{half_life: {time: 1d}}", {"half_life": HalfLife(events=None, time=86400.0)}),
        ("{half_life: {events: 5000}}", {"half_life": HalfLife(events=5000, time=WEEK)}),
        ("{half_life: {events: 5000, time: null}}", {"half_life": HalfLife(events=5000, time=None)}),
        ("{centroids: 4}", {"centroids": 4, "gate": 1.5}),
        ("", {"gate": 1.5}),
    ],
)
def test_what_is_given_comes_before_the_preset(given: str, expected: dict[str, Any]) -> None:
    model = config(f"preset: metrics\nmodel: {given}\n").model
    assert {name: getattr(model, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("more", "within"),
    [
        ("", False),
        ("preset: metrics", True),
        ("model: {scale: within}", True),
        ("preset: metrics\nmodel: {scale: auto}", False),
    ],
)
def test_one_feature_or_two_are_measured_by_their_spread_in_all_where_nothing_smooths(more: str, within: bool) -> None:  # noqa: FBT001
    for names in ("[a]", "[a, b]"):
        few = parse(
            f"source: {{kind: kafka, topics: [a]}}\nevents: {{features: {names}}}\n{more}", "c.yaml", environ={}
        )
        assert rules_of(Detection.of(few)).within is within
    three = parse(
        f"source: {{kind: kafka, topics: [a]}}\nevents: {{features: [a, b, c]}}\n{more}", "c.yaml", environ={}
    )
    assert rules_of(Detection.of(three)).within


@pytest.mark.parametrize(
    ("more", "own"),
    [
        ("", True),
        ("preset: metrics", False),
        ("model: {scale: within}", False),
        ("model: {scale: total}", False),
        ("preset: metrics\nmodel: {scale: cluster}", True),
    ],
)
def test_independent_events_are_measured_by_their_own_cluster_too(more: str, own: bool) -> None:  # noqa: FBT001
    three = parse(
        f"source: {{kind: kafka, topics: [a]}}\nevents: {{features: [a, b, c]}}\n{more}", "c.yaml", environ={}
    )
    assert rules_of(Detection.of(three)).own is own


def test_an_unknown_preset_is_told_with_its_line_and_the_known_ones() -> None:
    with pytest.raises(ConfigError) as refused:
        config("preset: metric\n")
    (line,) = str(refused.value).splitlines()
    assert line.startswith("c.yaml:3: preset: ")
    assert "events" in line
    assert "metrics" in line


@pytest.mark.parametrize("given", ["preset: [metrics]\n", "preset: 5\n", "preset: metrics\nmodel: 5\n"])
def test_what_is_no_preset_or_no_model_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match=r"^c\.yaml:\d+: (preset|model): "):
        config(given)


def test_a_fault_in_the_model_is_placed_as_without_a_preset() -> None:
    with pytest.raises(ConfigError, match=r"^c\.yaml:4: model\.gate: "):
        config("preset: metrics\nmodel: {gate: 0.5}\n")


def test_a_preset_may_come_from_the_environment_and_editors_accept_it() -> None:
    reference = "${PRESET:-events}"
    assert config(f"preset: {reference}\n", PRESET="metrics").model.gate == 1.5
    validator: Any = jsonschema.Draft202012Validator(schema())
    whole = {"source": {"kind": "kafka", "topics": ["a"]}, "events": {"features": ["cpu"]}}
    assert validator.is_valid(whole | {"preset": reference})
    assert validator.is_valid(whole | {"preset": "metrics"})
    assert not validator.is_valid(whole | {"preset": "metric"})


def test_the_preset_reaches_the_control_record_written_out() -> None:
    payload = Detection.of(config("preset: metrics\n")).to_payload()
    assert payload["model"]["gate"] == 1.5
    assert "preset" not in payload
    assert Detection.from_payload(payload) == Detection.of(config("preset: metrics\n"))


@pytest.mark.parametrize(("entity", "members"), [("", 5), ("entity: host", 1)])
def test_a_partition_has_five_members_and_an_entity_one_unless_told_otherwise(entity: str, members: int) -> None:
    events = f"events: {{features: [cpu], {entity}}}\n"

    def shaped(more: str) -> int:
        text = SMALLEST.replace("events: {features: [cpu]}\n", events) + more
        return shape_of(Detection.of(parse(text, "c", environ={}))).members

    assert shaped("") == members
    assert shaped("model: {members: 3}\n") == 3


def test_the_rules_of_the_model_come_from_its_configuration() -> None:
    rules = rules_of(Detection.of(config("preset: metrics\nmodel: {promote_count: 7, promote_after: 1h}\n")))
    assert (rules.half_life_events, rules.half_life_time, rules.mass) == (None, WEEK, 0.95)
    assert (rules.promote_count, rules.promote_after, rules.promote_returns) == (7, 3600.0, 5)
    assert rules_of(Detection.of(config("preset: events\n"))).promote_returns is None
