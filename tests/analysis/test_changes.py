"""Changes are found where they are, and not where there are none."""

import numpy as np
import pytest

from analyzer.analysis.spread.changes import change_points

BEFORE, AFTER = [0.5, 0.5, 0, 0], [0.25] * 4


def sequence(generator, *pieces):
    return np.concatenate([generator.choice(len(p), n, p=p) for n, p in pieces])


def test_a_change_is_found_with_its_interval():
    hits = 0
    for seed in range(100):
        drawn = sequence(np.random.default_rng(seed), (75, BEFORE), (30, AFTER))
        found = change_points(drawn, 4)
        assert found, seed
        nearest = min(found, key=lambda change: abs(change.at - 75))
        hits += nearest.earliest <= 75 <= nearest.latest
    assert hits >= 0.93 * 100


def test_the_interval_of_a_small_change_mostly_holds_it():
    hits = found_once = 0
    for seed in range(60):
        drawn = sequence(
            np.random.default_rng(seed), (200, AFTER), (200, [0.1, 0.3, 0.3, 0.3])
        )
        found = change_points(drawn, 4)
        if len(found) == 1:
            found_once += 1
            hits += found[0].earliest <= 200 <= found[0].latest
    assert found_once >= 20
    assert hits >= 0.85 * found_once


def test_a_backend_that_comes_back_gives_two_changes():
    away = [0, 1 / 3, 1 / 3, 1 / 3]
    drawn = sequence(np.random.default_rng(1), (150, AFTER), (100, away), (150, AFTER))
    first, second = change_points(drawn, 4)
    assert first.earliest <= 150 <= first.latest
    assert second.earliest <= 250 <= second.latest


def test_where_nothing_changes_nothing_is_found():
    found = [
        bool(change_points(np.random.default_rng(seed).integers(0, 4, 100), 4))
        for seed in range(200)
    ]
    assert sum(found) <= 5  # one in a hundred


def test_a_long_sequence_is_searched_in_pieces():
    generator = np.random.default_rng(3)
    drawn = sequence(generator, (10_321, [0.1] * 10), (9_679, [1 / 9] * 9 + [0]))
    (change,) = change_points(drawn, 10)
    assert change.earliest <= 10_321 <= change.latest
    assert change.latest - change.earliest <= 80


@pytest.mark.parametrize("drawn", [[], [0], [0, 1, 0], [2] * 50])
def test_too_little_tells_of_no_change(drawn):
    assert change_points(drawn, 4) == []
