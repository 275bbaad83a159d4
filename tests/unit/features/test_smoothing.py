"""Scores are smoothed over the rows of their slot alone, by several half-lives at once."""

import numpy as np
import pytest

from detector.features.smoothing import smooth_by_all, weights


def test_half_of_a_step_is_taken_in_a_half_life() -> None:
    values, state = np.append(0.0, np.ones(10))[:, None], np.full((1, 1), np.nan)
    smoothed = smooth_by_all(values, np.zeros(11, np.int64), state, weights([10]))
    assert smoothed[-1, 0] == pytest.approx(0.5)


def test_a_burst_and_what_lasts_are_both_told_from_noise_as_by_the_half_life_that_fits_each() -> None:
    slots, alphas = np.zeros(200, np.int64), weights([1, 100])
    burst, lasting = np.zeros((200, 1)), np.zeros((200, 1))
    burst[100], lasting[100:] = 10.0, 1.0

    def ending(values: np.ndarray, alphas: np.ndarray) -> np.ndarray:
        return smooth_by_all(values, slots, np.full((1, len(alphas)), np.nan), alphas)[:, 0]

    assert ending(burst, alphas)[100] > 2.4, "a half-life of 100 alone leaves 0.07 of it"
    assert ending(burst, alphas)[120] < 0.1
    assert ending(lasting, alphas)[-1] == pytest.approx((1.0 + 0.5) / 2, abs=0.01)


def test_each_slot_has_its_own_past_and_any_cut_into_calls_gives_the_same_bits() -> None:
    rng = np.random.default_rng(3)
    values, slots, alphas = rng.normal(size=(60, 2)), rng.integers(0, 3, 60), weights([1, 7, 70])
    whole_state, state = np.full((2, 3, 6), np.nan)
    whole = smooth_by_all(values, slots, whole_state, alphas)
    parts = [smooth_by_all(values[a : a + 7], slots[a : a + 7], state, alphas) for a in range(0, 60, 7)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert state.tobytes() == whole_state.tobytes()
    alone = smooth_by_all(values[slots == 1], slots[slots == 1], np.full((3, 6), np.nan), alphas)
    assert alone.tobytes() == whole[slots == 1].tobytes()
