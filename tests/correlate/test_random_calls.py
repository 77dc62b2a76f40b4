"""Whatever calls there are, and wherever they are seen: one row each, and no lie."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.correlate import ways
from tests.correlate.random_calls import (
    Recorded,
    anything,
    owners,
    questions,
    short_calls,
)
from tests.correlate.simulated import SECOND

RANDOM = st.randoms(use_true_random=False)
SHIFT = st.integers(-3 * SECOND, 3 * SECOND)
CLOCKS = st.fixed_dictionaries(dict.fromkeys(ways.NODES, SHIFT))
# Each writes and reads up to thirty captures, and draws all numbers of its calls.
FEW = settings(
    max_examples=15,
    suppress_health_check=[
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


@FEW
@given(random=RANDOM, clocks=CLOCKS, length=st.sampled_from([None, 96, 68]))
def test_no_row_holds_packets_of_two_calls(tmp_path_factory, random, clocks, length):
    folder = tmp_path_factory.mktemp("calls")
    recorded = Recorded(random, folder, anything(random), clocks, length)
    for with_state in (True, False):
        assert all(len(of) == 1 for of, _ in recorded.rows(with_state=with_state))


@FEW
@given(random=RANDOM, clocks=CLOCKS)
def test_every_connection_is_one_row_that_states_nothing_wrong(
    tmp_path_factory, random, clocks
):
    folder = tmp_path_factory.mktemp("calls")
    recorded = Recorded(random, folder, short_calls(random), clocks)
    found = recorded.rows(with_state=True)
    assert owners(found) == dict.fromkeys(recorded.visible(), 1)
    for (number,), row in found:
        assert recorded.wrong(row, recorded.calls[number]) == {}


@FEW
@given(random=RANDOM)
@pytest.mark.parametrize("with_state", [True, False])
def test_every_question_is_one_row(tmp_path_factory, random, with_state):
    folder = tmp_path_factory.mktemp("calls")
    recorded = Recorded(random, folder, questions(random))
    found = recorded.rows(with_state=with_state)
    assert owners(found) == dict.fromkeys(recorded.visible(), 1)
