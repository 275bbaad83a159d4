from __future__ import annotations

import numpy as np

from detector.models.scale import breadths


def test_a_cluster_is_believed_by_its_rows_and_half_way() -> None:
    masses = np.array([300.0, 300.0])
    spreads = np.array([1.0, 3.0])
    np.testing.assert_allclose(breadths(masses, spreads), np.sqrt([0.75, 1.25]), rtol=1e-6)
    many = breadths(masses * 1e6, spreads)
    np.testing.assert_allclose(many, np.sqrt([0.5, 1.5]), rtol=1e-3)
    np.testing.assert_allclose(breadths(masses * 1e-6, spreads), 1.0, rtol=1e-3)


def test_one_cluster_alone_is_as_broad_as_all_are() -> None:
    np.testing.assert_allclose(breadths(np.array([500.0, 0.0]), np.array([7.0, 0.0]))[0], 1.0)


def test_where_nothing_is_spread_no_cluster_is_broader() -> None:
    np.testing.assert_allclose(breadths(np.array([[5.0, 2e5, 0.0]]), np.zeros((1, 3))), 1.0)


def test_each_member_is_judged_by_itself() -> None:
    masses, spreads = np.full((2, 2), 1e9), np.array([[1.0, 4.0], [100.0, 400.0]])
    one, other = breadths(masses, spreads)
    np.testing.assert_allclose(one, other)
