"""Settings on the command line come before a preset's, and wrong ones are told of."""

import pytest

from detector.errors import ConfigError
from detector.quality.presets import sections, settings


def test_settings_are_nested_as_their_keys_say_and_read_as_yaml() -> None:
    read = settings(["model.mass=0.9", "model.smoothing=[3, 30]", "model.half_life.events=null", "blocks.rows=64"])
    assert read == {"model": {"mass": 0.9, "smoothing": [3, 30], "half_life": {"events": None}}, "blocks": {"rows": 64}}
    assert sections("metrics", read) == {"preset": "metrics", **read}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("model.mass", "expected KEY=VALUE"),
        ("store.path=/tmp", "beginning with model., blocks., entities., alerting."),
        ("model.mass=2", "model.mass: found `2`, expected at most 1"),
        ("model.masses=1", "model.masses: unknown key, did you mean `mass`?"),
        ("model.mass=[", "--set model.mass="),
    ],
)
def test_what_is_no_setting_is_refused_with_what_was_given(given: str, told: str) -> None:
    with pytest.raises(ConfigError, match="--set") as refused:
        settings([given])
    assert told in str(refused.value)


def test_a_setting_within_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"another --set gives `model\.smoothing` a value that holds no keys"):
        settings(["model.smoothing=[3]", "model.smoothing.half=1"])
