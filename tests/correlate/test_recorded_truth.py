"""Connections of every recording are those of its truth, whichever captures one has."""

import pytest

from captures.score import classes, report, states
from captures.score.__main__ import SAMPLES, scores_of
from captures.score.recording import Recording

NAMES = sorted(path.parent.name for path in SAMPLES.glob("*/truth.jsonl"))


@pytest.mark.parametrize("class_name", classes.CLASSES)
@pytest.mark.parametrize("name", NAMES)
def test_connections_are_those_of_the_truth(name, class_name):
    whole_or_none = [states.WHOLE, states.NONE]
    for score in scores_of(Recording(SAMPLES / name), [class_name], whole_or_none):
        assert [report.finding_line(score, f) for f in score.verdict.findings] == []
        assert all(clock.is_right for clock in score.clocks)


@pytest.mark.parametrize("state", [*states.PARTIAL, states.INFERRED])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_wrong_follows_from_part_of_the_cluster_state(name, state):
    (score,) = scores_of(Recording(SAMPLES / name), ["nics", "cali", "any"], [state])
    assert [report.finding_line(score, f) for f in score.verdict.findings] == []
    assert score.verdict.figures.visible
