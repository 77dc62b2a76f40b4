"""A backend that fell out is told by its silence, which chance explains seldom."""

import numpy as np
import pytest

from analyzer.analysis.spread.causes import silences
from analyzer.analysis.spread.draws import Draws

NAMES = ("web-a", "web-b", "web-c", "web-d")
EVEN = [0.25] * 4
WITHOUT_FIRST = [0, 1 / 3, 1 / 3, 1 / 3]


def drawn(seed, *pieces, chances=EVEN):
    generator = np.random.default_rng(seed)
    chosen = np.concatenate([generator.choice(4, n, p=p) for n, p in pieces])
    size = len(chosen)
    return Draws(
        NAMES,
        np.array([chances]),
        np.zeros(size, dtype=np.int64),
        chosen,
        np.ones(size),
        np.arange(size) * 1_000_000_000,
        np.arange(size),
        ("n0",),
        np.zeros(size, dtype=np.int64),
    )


def test_a_backend_that_gets_nothing_any_more_is_named_with_the_moment():
    hits = 0
    for seed in range(200):
        draws = drawn(seed, (20, EVEN), (50, WITHOUT_FIRST))
        found = silences(draws, level=0.05)
        if not (draws.chosen == 0).any():
            continue
        (change,) = [
            each
            for each in found
            if each.backends[0].name == "web-a" and not each.backends[0].after
        ]
        (changed,) = change.backends
        last = int(np.flatnonzero(draws.chosen == 0)[-1])
        assert changed.time == last * 1_000_000_000
        assert (changed.before > 0, changed.after) == (True, 0)
        hits += change.earliest <= 19.5e9 <= change.latest
    assert hits >= 0.93 * 200


def test_a_backend_that_gets_nothing_at_first_is_named_with_the_moment():
    draws = drawn(3, (50, WITHOUT_FIRST), (30, EVEN))
    (change,) = silences(draws, level=0.05)
    (changed,) = change.backends
    first = int(np.flatnonzero(draws.chosen == 0)[0])
    assert changed.name == "web-a"
    assert (changed.time, changed.before) == (first * 1_000_000_000, 0)
    assert change.earliest <= 49.5e9 <= change.latest


@pytest.mark.parametrize("size", [12, 60, 400])
@pytest.mark.parametrize("level", [0.05, 0.005])
def test_chance_alone_is_seldom_taken_for_a_silence(size, level):
    found = [bool(silences(drawn(s, (size, EVEN)), level=level)) for s in range(2_000)]
    assert np.mean(found) <= level + 3 * np.sqrt(level / 2_000)


def test_a_rare_backend_s_silence_is_not_held_against_it():
    rare = [0.01, 0.33, 0.33, 0.33]
    draws = drawn(0, (1, [1, 0, 0, 0]), (40, WITHOUT_FIRST), chances=rare)
    assert silences(draws, level=0.05) == []


def test_a_backend_that_never_got_anything_did_not_fall_out():
    assert silences(drawn(0, (80, WITHOUT_FIRST)), level=0.05) == []


def test_nothing_follows_from_nothing():
    assert silences(drawn(0, (0, EVEN)), level=0.05) == []
