"""The TensorFlow program against its formulas in plain float64, and against itself in other layouts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detector.models.program import SlotStates, fingerprint
from detector.models.shape import SMALL, Rules, Shape
from detector.types import Float32, Float64
from tests.support.kmeans import PlainSlot
from tests.support.models import alone, arrays, compiled, no_states, stack, states, traits

KEYED = Shape(features=4, centroids=3, rows=32, keyed=True)
WHOLE = Shape(features=4, centroids=3, rows=32, keyed=False)
TEAM = Shape(features=4, centroids=3, rows=32, keyed=False, members=3)
KEYED_TEAM = Shape(features=4, centroids=3, rows=32, keyed=True, members=2)
LASTING, FADING = Rules(), Rules(100.0, 60.0)
CHOOSY = Rules(100.0, 60.0, mass=0.8, within=True, promote_count=20, promote_after=60.0, promote_returns=4)
LOCAL = replace(CHOOSY, own=True)
GATE = 9.0
UNITS = np.array([1.0, 1e-3, 1e6, 50.0])

Blocks = list[tuple[Float32, list[int], float]]


def log(shape: Shape, seed: int, *, slots: int, blocks: int = 16, missing: float = 0.15) -> Blocks:
    """Random blocks, full or not, in features of very different sizes, with gaps and a few values far out."""
    rng = np.random.default_rng(seed)
    made: Blocks = []
    time = 1_700_000_000.0
    for _ in range(blocks):
        n = int(rng.integers(1, shape.rows + 1))
        rows = (rng.standard_normal((n, shape.features)) + rng.integers(0, 3, (n, 1)) * 4.0 + 5.0) * UNITS
        rows[rng.random((n, shape.features)) < 0.02] *= 40.0
        rows[rng.random((n, shape.features)) < missing] = np.nan
        time += float(rng.integers(0, 40))
        made.append((rows.astype(np.float32), rng.integers(0, slots, n).tolist(), time))
    return made


def plain_states(shape: Shape, seed: int, slots: int, blocks: Blocks, rules: Rules = LASTING) -> list[PlainSlot]:
    """Slots in the middle of their life; the first is new, the second lacks a centroid and knows nothing of f1.

    What a slot knows nothing of has its first value in `blocks` as its mean, as the bank puts it there. Where there
    are members, every other slot has a learning gate.
    """
    rng, c = np.random.default_rng(seed), shape.all_centroids
    made = []
    for s in range(slots):
        masses = rng.uniform(5.0, 200.0, c).astype(np.float32).astype(np.float64)
        means = (rng.uniform(4.0, 9.0, shape.features) * UNITS).astype(np.float32).astype(np.float64)
        centroids = (rng.uniform(3.0, 14.0, (c, shape.features)) * UNITS).astype(np.float32)
        variances = ((rng.uniform(0.5, 3.0, shape.features) * UNITS) ** 2).astype(np.float32).astype(np.float64)
        weights = np.full(shape.features, np.float32(masses.sum()), np.float64)
        if s == 0 and not rules.within:
            masses[:], variances[:], weights[:] = 0.0, 0.0, 0.0
        if s == 1:
            masses[1], variances[1], weights[1] = 0.0, 0.0, 0.0
        first = first_values(shape, blocks, s)
        means = np.where(weights > 0, means, first)
        centroids[:, weights == 0] = np.nan_to_num(first[weights == 0])
        gate = GATE if shape.members > 1 and s % 2 == 0 else 0.0
        spreads, wins, first_wins, last_wins = np.zeros((4, c))
        coordinates = centroids.astype(np.float64)
        tallies = (coordinates, masses, spreads, wins, first_wins, last_wins)
        made.append(PlainSlot(shape.members, rules, *tallies, means, variances, weights, variances.copy(), gate))
    return made


def first_values(shape: Shape, blocks: Blocks, slot: int) -> Float64:
    mine = np.concatenate([rows[np.array(owners) == slot] for rows, owners, _ in blocks])
    seen = np.isfinite(mine)
    first = np.full(shape.features, np.nan)
    some = seen.any(0)
    first[some] = mine[seen.argmax(0), np.arange(shape.features)][some]
    return first


def as_states(shape: Shape, slots: list[PlainSlot]) -> SlotStates:
    def gathered(name: str) -> Float64:
        return np.stack([getattr(slot, name) for slot in slots])

    names = ("centroids", "masses", "means", "variances", "weights")
    made = states(shape, **{name: gathered(name) for name in names})
    traits(shape, made).gates[: len(slots)] = gathered("gate")
    return made


def settled(centroids: Float64, means: Float64, variances: Float64, weight: float = 27.0) -> SlotStates:
    """One slot whose centroids [K, D] have won nine rows each; `weight` is that of its moments."""
    k, d = centroids.shape
    return states(
        WHOLE,
        centroids=centroids[None],
        masses=np.full((1, k), 9.0),
        means=means[None],
        variances=variances[None],
        weights=np.full((1, d), weight),
    )


def close(actual: Float32 | np.float32, expected: Float64, scale: float | Float64 = 0.0) -> None:
    """Assert six digits; `scale` is what an absolute error of 1e-5 is measured by."""
    np.testing.assert_array_less(np.abs(actual - expected), 1e-5 * np.maximum(np.abs(expected), scale) + 1e-30)


@pytest.mark.parametrize(
    ("shape", "slots", "rules"),
    [
        (WHOLE, 1, LASTING),
        (KEYED, 1, FADING),
        (KEYED, 6, FADING),
        (KEYED, 30, FADING),
        (KEYED, 6, Rules(100.0, None)),
        (KEYED, 6, Rules(None, 60.0)),
        (TEAM, 1, CHOOSY),
        (KEYED_TEAM, 6, CHOOSY),
        (TEAM, 1, LOCAL),
        (KEYED_TEAM, 6, LOCAL),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_equals_the_formulas_in_float64(shape: Shape, slots: int, rules: Rules, seed: int) -> None:
    blocks = log(shape, seed, slots=slots)
    plain = plain_states(shape, seed + 100, slots, blocks, rules)
    given = stack(shape, blocks)
    scores, after = compiled(shape, rules)(given, as_states(shape, plain))
    passed_over = gated = told = 0
    for t, (rows, owners, time) in enumerate(blocks):
        for i, (row, owner) in enumerate(zip(rows.astype(np.float64), owners, strict=True)):
            slot = plain[owner]
            expected, waiting = slot.score(row), len(slot.waiting)
            assert np.isnan(scores.distance[t, i]) == np.isnan(expected.distance)
            if not np.isnan(expected.distance):
                close(scores.distance[t, i], np.array(expected.distance), 0.1)
                assert scores.centroid[t, i] in expected.closest
                if len(expected.tellers) == 1:
                    told += 1
                    close(scores.parts[t, i], expected.parts, max(1.0, expected.parts.max()))
                    coordinates = slot.centroids[expected.tellers[0]]
                    close(scores.expected[t, i], np.where(slot.weights > 0, coordinates, 0.0), UNITS)
            slot.wait(row)
            gated += len(slot.waiting) == waiting
            passed_over += len(slot.waiting) > waiting and not {*expected.closest} & {*slot.waiting[-1].nearest}
        for slot in plain:
            slot.learn(time)
    now = traits(shape, after)
    for s, slot in enumerate(plain):
        close(now.masses[s], slot.masses, 1.0)
        close(now.spreads[s], slot.spreads, 1.0)
        assert now.wins[s].tolist() == slot.wins.tolist()
        close(now.means[s], slot.means, UNITS)
        close(now.variances[s], slot.variances, UNITS**2)
        close(now.weights[s], slot.weights, 1.0)
        assert now.gates[s] == slot.gate
        close(after.centroids[s], slot.centroids, UNITS[None])
        assert after.times[s].tolist() == [slot.learned_at, *slot.first_wins, *slot.last_wins]
    if rules.within:
        assert passed_over + gated > 1, "rows nearest to a centroid that does not define normal, or beyond the gate"


def usual(shape: Shape) -> Rules:
    """Those that other tests use too: a program takes seconds to compile."""
    if shape.members > 1:
        return CHOOSY
    return FADING if shape.keyed else LASTING


def pieces(shape: Shape, blocks: Blocks, cuts: list[int], state: SlotStates) -> tuple[list[Float32], SlotStates]:
    """Run blocks in calls of those sizes; returns each block's distances and the final states."""
    program, distances, at = compiled(shape, usual(shape)), list[Float32](), 0
    for size in cuts:
        scores, state = program(stack(shape, blocks[at : at + size]), state)
        distances += [scores.distance[t, : len(blocks[at + t][0])] for t in range(size)]
        at += size
    return distances, state


def same(one: SlotStates, other: SlotStates) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(arrays(one), arrays(other), strict=True))


@pytest.mark.parametrize("cuts", [[1] * 16, [15, 1], [1, 15], [3, 5, 8], [2, 2, 2, 2, 2, 2, 2, 2]])
@pytest.mark.parametrize(("shape", "slots"), [(WHOLE, 1), (KEYED, 9), (TEAM, 1), (KEYED_TEAM, 9)])
def test_the_bits_do_not_depend_on_how_many_blocks_a_call_takes(shape: Shape, slots: int, cuts: list[int]) -> None:
    blocks = log(shape, 5, slots=slots)
    state = as_states(shape, plain_states(shape, 6, slots, blocks))
    whole, after = pieces(shape, blocks, [16], state)
    cut, cut_after = pieces(shape, blocks, cuts, state)
    assert [d.tobytes() for d in cut] == [d.tobytes() for d in whole]
    assert same(after, cut_after)


@pytest.mark.parametrize("rows", [32, 160, 512])
@pytest.mark.parametrize(("shape", "slots"), [(WHOLE, 1), (KEYED, 9), (TEAM, 1), (KEYED_TEAM, 9)])
def test_the_program_for_small_blocks_has_the_same_bits(shape: Shape, slots: int, rows: int) -> None:
    blocks = log(replace(shape, rows=min(rows, SMALL)), 5, slots=slots)
    shape = replace(shape, rows=rows)
    program, state = compiled(shape, usual(shape)), as_states(shape, plain_states(shape, 6, slots, blocks))
    whole, after = pieces(shape, blocks, [16], state)
    for block, expected in zip(blocks, whole, strict=True):
        given, narrow = alone(shape, stack(shape, [block]), state)
        scores, narrow = program(given, narrow)
        assert scores.distance[0, : len(block[0])].tobytes() == expected.tobytes()
        wide = zip(arrays(narrow), arrays(state), strict=True)
        state = SlotStates(*(np.concatenate([new[:-1], old[len(new) - 1 :]]) for new, old in wide))
    assert same(after, state)


def test_rows_of_an_open_block_score_the_same_however_many_there_are() -> None:
    blocks = log(KEYED, 7, slots=4, blocks=1)
    rows, owners, time = blocks[0]
    state = as_states(KEYED, plain_states(KEYED, 8, 4, blocks))
    program = compiled(KEYED, FADING)
    whole = program(stack(KEYED, [(rows, owners, time)]), state)[0].distance[0]
    for n in range(1, len(rows) + 1):
        part = program(stack(KEYED, [(rows[:n], owners[:n], time)], learns=False), state)[0].distance[0]
        assert part[:n].tobytes() == whole[:n].tobytes()


def test_a_block_that_is_not_learned_leaves_the_states_as_they_are() -> None:
    blocks = log(KEYED, 9, slots=4)
    state = as_states(KEYED, plain_states(KEYED, 9, 4, blocks))
    after = compiled(KEYED, FADING)(stack(KEYED, blocks, learns=False), state)[1]
    assert same(after, state)


def test_the_bits_do_not_depend_on_the_numbers_that_slots_have() -> None:
    blocks = log(KEYED, 11, slots=5)
    plain = plain_states(KEYED, 12, 5, blocks)
    scores, after = compiled(KEYED, FADING)(stack(KEYED, blocks), as_states(KEYED, plain))
    number = [30, 2, 17, 0, 21]
    before = as_states(KEYED, plain)
    moved = no_states(KEYED, np.zeros(4, np.float32))
    for array, source in zip(arrays(moved), arrays(before), strict=True):
        array[number] = source[:5]
    renumbered: Blocks = [(rows, [number[s] for s in owners], time) for rows, owners, time in blocks]
    other, other_after = compiled(KEYED, FADING)(stack(KEYED, renumbered), moved)
    assert other.distance.tobytes() == scores.distance.tobytes()
    assert other.centroid.tobytes() == scores.centroid.tobytes()
    for array, source in zip(arrays(other_after), arrays(after), strict=True):
        assert array[number].tobytes() == source[:5].tobytes()


def test_rows_of_other_slots_change_nothing() -> None:
    blocks = log(KEYED, 13, slots=4)
    state = as_states(KEYED, plain_states(KEYED, 14, 4, blocks))
    program = compiled(KEYED, FADING)
    after = program(stack(KEYED, blocks), state)[1]
    alone: Blocks = []
    for rows, owners, time in blocks:
        mine = np.array(owners) == 2
        alone.append((rows[mine], [2] * int(mine.sum()), time))
    after_alone = program(stack(KEYED, alone), state)[1]
    for array, other in zip(arrays(after), arrays(after_alone), strict=True):
        assert array[2].tobytes() == other[2].tobytes()


def test_six_digits_are_kept_where_features_differ_by_a_million_and_the_expansion_loses_them() -> None:
    rng = np.random.default_rng(15)
    units = np.array([1.0, 1e6, 1e-3, 1e3])
    centroids = (100.0 + rng.uniform(-1, 1, (1, 3, 4))) * units
    rows = ((100.0 + rng.uniform(-1, 1, (32, 4))) * units).astype(np.float32)
    state = settled(centroids[0], centroids[0].mean(0), (0.3 * units) ** 2)
    mean, variance = (field[0].astype(np.float64) for field in traits(WHOLE, state)[3:5])
    x, c = rows.astype(np.float64), state.centroids[0].astype(np.float64)
    sd = np.sqrt(variance + (x - mean) ** 2 / 28.0) + 0.01 * np.abs(mean) + 1e-9
    truth = np.sqrt((((x[:, None] - c) / sd[:, None]) ** 2).sum(2)).min(1)
    distance = compiled(WHOLE, LASTING)(stack(WHOLE, [(rows, [0] * 32, 0.0)], learns=False), state)[0].distance[0]
    np.testing.assert_allclose(distance, truth, rtol=1e-6)

    z, zc = (rows / sd).astype(np.float32), (c / sd[:, None]).astype(np.float32)
    expanded = (z * z).sum(1)[:, None] - np.float32(2) * (z[:, None] * zc).sum(2) + (zc * zc).sum(2)
    wrong = np.abs(np.sqrt(np.maximum(expanded, 0)).min(1) / truth - 1)
    assert np.median(wrong) > 1e-4


def test_missing_features_are_left_out_and_the_distance_rescaled() -> None:
    state = settled(np.zeros((3, 4)), np.zeros(4), np.ones(4))
    rows = np.array([[2.0, 2, 2, 2], [2, np.nan, 2, np.nan], [2, np.nan, np.nan, np.nan]], np.float32)
    scores, _ = compiled(WHOLE, LASTING)(stack(WHOLE, [(rows, [0] * 3, 0.0)]), state)
    part = 4.0 / (1.0 + 4.0 / 28.0)
    assert scores.distance[0, :2] == pytest.approx([2.0 * part**0.5] * 2)
    assert np.isnan(scores.distance[0, 2])
    assert scores.parts[0, 1] == pytest.approx([part, 0.0, part, 0.0])


def test_beyond_the_clip_the_distance_grows_with_the_logarithm_and_learning_stops_there() -> None:
    state = settled(np.zeros((3, 4)), np.zeros(4), np.ones(4), weight=1e12)
    rows, x = np.zeros((2, 4), np.float32), np.array([1e3, 1e6])
    rows[:, 0] = x
    program = compiled(WHOLE, LASTING)
    scores, _ = program(stack(WHOLE, [(rows, [0, 0], 0.0)]), state)
    sd = np.sqrt(1.0 + x**2 / 1e12)
    assert scores.distance[0, :2] == pytest.approx(np.sqrt(100 + np.log(x / sd / 10) ** 2), rel=1e-6)
    after = program(stack(WHOLE, [(rows[1:], [0], 0.0)]), state)[1]
    assert after.centroids[0, 0, 0] == pytest.approx(10.0 * sd[1] / 10, rel=1e-6)


def test_no_row_is_further_out_than_so_few_rows_can_tell() -> None:
    state = settled(np.zeros((3, 4)), np.zeros(4), np.zeros(4), weight=24.0)
    rows = np.zeros((3, 4), np.float32)
    rows[:, 0] = [1e-3, 1.0, 1e12]
    distance = compiled(WHOLE, LASTING)(stack(WHOLE, [(rows, [0] * 3, 0.0)]), state)[0].distance[0, :3]
    assert distance == pytest.approx([5.0] * 3, rel=1e-4), "the root of 24 + 1 rows"


def heap(shape: Shape, masses: list[float]) -> SlotStates:
    """One slot with centroids at 0, 4 and 8 standard deviations in every feature, of those masses in each member."""
    centroids = np.tile(np.array([0.0, 4.0, 8.0])[:, None], (shape.members, 4))
    return states(
        shape,
        centroids=centroids[None],
        masses=np.tile(np.array(masses), shape.members)[None],
        means=np.zeros((1, 4)),
        variances=np.ones((1, 4)),
        weights=np.full((1, 4), 1e9),
    )


def distances(shape: Shape, state: SlotStates) -> list[float]:
    """Return the distances of rows that lie on the three centroids of a heap."""
    rows = np.tile(np.array([[0.0], [4.0], [8.0]], np.float32), (1, 4))
    scores = compiled(shape, usual(shape))(stack(shape, [(rows, [0] * 3, 0.0)], learns=False), state)[0]
    told: list[float] = scores.distance[0, :3].tolist()
    return told


@pytest.mark.parametrize(
    ("masses", "expected"),
    [
        ([90.0, 9.0, 1.0], [0, 8, 16]),
        ([50.0, 40.0, 10.0], [0, 0, 8]),
        ([1.0, 9.0, 90.0], [16, 8, 0]),
        ([100.0, 100.0, 100.0], [0, 0, 0]),
        ([40.0, 10.0, 10.0], [0, 0, 8]),
        ([10.0, 40.0, 10.0], [0, 0, 8]),
        ([0.0, 0.0, 5.0], [16, 8, 0]),
    ],
)
@pytest.mark.parametrize("shape", [TEAM, KEYED_TEAM])
def test_only_the_heaviest_centroids_define_normal_and_of_equal_ones_the_first(
    shape: Shape, masses: list[float], expected: list[float]
) -> None:
    assert distances(shape, heap(shape, masses)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("wins", "first", "last", "proven"),
    [(20, 100.0, 160.0, True), (19, 100.0, 160.0, False), (20, 100.0, 159.0, False), (1000, 100.0, 101.0, False)],
)
def test_a_light_centroid_defines_normal_once_it_has_won_enough_rows_over_long_enough(
    wins: int, first: float, last: float, *, proven: bool
) -> None:
    state = heap(TEAM, [90.0, 9.0, 1.0])
    at = np.arange(3) * TEAM.centroids + 2
    traits(TEAM, state).wins[0, at] = wins
    state.times[0, 1 + at], state.times[0, 1 + TEAM.all_centroids + at] = first, last
    assert distances(TEAM, state) == pytest.approx([0, 8, 0 if proven else 16], abs=1e-5)


@pytest.mark.parametrize(
    ("times", "wins", "normal"),
    [([0, 20, 40, 60, 80], 25, True), ([0, 2, 4, 60, 80], 15, False), ([0, 10, 20, 30, 40], 25, False)],
)
def test_a_light_centroid_defines_normal_once_it_has_come_back_often_enough(
    times: list[float], wins: int, *, normal: bool
) -> None:
    blocks: Blocks = [(np.full((1, 4), 8.0, np.float32), [0], time) for time in times]
    state = compiled(TEAM, CHOOSY)(stack(TEAM, blocks), heap(TEAM, [900.0, 90.0, 1.0]))[1]
    assert traits(TEAM, state).wins[0].tolist() == [0, 0, wins] * TEAM.members
    assert (distances(TEAM, state)[2] < 1.0) == normal


def test_what_does_not_define_normal_is_learned_all_the_same() -> None:
    state = heap(TEAM, [90.0, 9.0, 1.0])
    rows = np.full((5, 4), 8.0, np.float32)
    after = traits(TEAM, compiled(TEAM, CHOOSY)(stack(TEAM, [(rows, [0] * 5, 0.0)]), state)[1])
    kept = 2.0 ** (-5 / 100)
    assert after.masses[0, :3] == pytest.approx([90 * kept, 9 * kept, kept + 5])
    assert after.wins[0].tolist() == [0, 0, 5] * 3


def test_rows_beyond_the_gate_are_scored_and_not_learned() -> None:
    state = heap(TEAM, [90.0, 9.0, 1.0])
    traits(TEAM, state).gates[0] = 10.0
    rows = np.full((5, 4), 8.0, np.float32)
    scores, after = compiled(TEAM, CHOOSY)(stack(TEAM, [(rows, [0] * 5, 9.0)]), state)
    assert scores.distance[0, 0] == pytest.approx(16.0)
    assert same(after, state)
    mixed = np.concatenate([rows, np.full((3, 4), 4.0, np.float32)])
    after = compiled(TEAM, CHOOSY)(stack(TEAM, [(mixed, [0] * 8, 9.0)]), state)[1]
    assert traits(TEAM, after).wins[0].tolist() == [0, 3, 0] * 3
    assert traits(TEAM, after).weights[0, 0] == pytest.approx(2.0 ** (-9 / 60) * 1e9 + 3)


def test_a_constant_feature_neither_explodes_nor_hides_a_change() -> None:
    rows = np.tile(np.array([[7.0, 0.0, 1e6, -3.0]], np.float32), (32, 1))
    empty = no_states(WHOLE, rows[0])
    program = compiled(WHOLE, LASTING)
    _, state = program(stack(WHOLE, [(rows, [0] * 32, 0.0)] * 16), empty)
    steady = program(stack(WHOLE, [(rows[:1], [0], 0.0)], learns=False), state)[0].distance[0, 0]
    assert steady == pytest.approx(0.0, abs=1e-3)
    changed = rows[:1].copy()
    changed[0, 1] = 1.0
    assert program(stack(WHOLE, [(changed, [0], 0.0)], learns=False), state)[0].distance[0, 0] > 10.0


@pytest.mark.parametrize("new", [True, False])
def test_the_largest_floats_leave_everything_finite(*, new: bool) -> None:
    rng = np.random.default_rng(17)
    blocks = log(WHOLE, 18, slots=1, missing=0.0)
    for rows, _, _ in blocks:
        wild = rng.random(rows.shape) < 0.3
        rows[wild] = rng.choice(np.array([3.4e38, -3.4e38, 1e20, 1e-45, 0.0], np.float32), int(wild.sum()))
    state = as_states(WHOLE, plain_states(WHOLE, 19, 1, blocks))
    if not new:
        calm = log(WHOLE, 20, slots=1, missing=0.0)
        state = compiled(WHOLE, LASTING)(stack(WHOLE, calm), state)[1]
    scores, after = compiled(WHOLE, LASTING)(stack(WHOLE, blocks), state)
    for t, (rows, _, _) in enumerate(blocks):
        if t or not new:
            assert np.isfinite(scores.distance[t, : len(rows)]).all()
        assert np.isfinite(scores.parts[t]).all()
    assert all(np.isfinite(array).all() for array in arrays(after))


def test_one_wild_value_fades_with_the_half_life() -> None:
    calm = np.random.default_rng(21).normal(5.0, 1.0, (32, 4)).astype(np.float32)
    wild = calm.copy()
    wild[5, 0] = 1e30
    empty = no_states(KEYED, calm[0])
    program = compiled(KEYED, FADING)
    state = program(stack(KEYED, [(wild, [0] * 32, 0.0)]), empty)[1]
    for _ in range(40):
        state = program(stack(KEYED, [(calm, [0] * 32, 0.0)] * 16), state)[1]
    assert traits(KEYED, state).variances[0, 0] == pytest.approx(calm[:, 0].var(), rel=0.1)


def test_a_feature_that_turns_up_late_counts_once_something_is_learned_of_it() -> None:
    rng = np.random.default_rng(22)
    early = rng.normal(5.0, 1.0, (32, 4)).astype(np.float32)
    late = early.copy()
    late[:, 3] = rng.normal(1e6, 10.0, 32)
    early[:, 3] = np.nan
    empty = no_states(WHOLE, late[0])
    program = compiled(WHOLE, LASTING)
    state = program(stack(WHOLE, [(early, [0] * 32, 0.0)] * 4), empty)[1]
    scores, state = program(stack(WHOLE, [(late, [0] * 32, 0.0)] * 2), state)
    assert (scores.parts[0, :, 3] == 0).all()
    assert (scores.expected[0, :, 3] == 0).all()
    assert (scores.parts[1, :, 3] > 0).any()


def test_where_a_feature_is_missing_from_a_block_its_moments_stay() -> None:
    state = as_states(KEYED, plain_states(KEYED, 23, 3, log(KEYED, 23, slots=3))[2:])
    rows = np.full((32, 4), 5.0, np.float32)
    rows[:, 2] = np.nan
    after = compiled(KEYED, FADING)(stack(KEYED, [(rows, [0] * 32, 1e9)]), state)[1]
    before, now = traits(KEYED, state), traits(KEYED, after)
    assert now.means[0, 2] == before.means[0, 2]
    assert now.variances[0, 2] == before.variances[0, 2]
    assert now.weights[0, 2] == 0.0


def test_the_fingerprint_names_what_the_bits_depend_on() -> None:
    assert fingerprint() == fingerprint()
    assert all(word in fingerprint() for word in ("tensorflow", "fma", "program"))
