"""Connections of every recording are those of its truth, whichever captures one has."""

import pytest

from captures.score import classes, report
from captures.score.__main__ import SAMPLES, scores_of
from captures.score.recording import Recording

NAMES = sorted(path.parent.name for path in SAMPLES.glob("*/truth.jsonl"))


@pytest.mark.parametrize("class_name", classes.CLASSES)
@pytest.mark.parametrize("name", NAMES)
def test_connections_are_those_of_the_truth(name, class_name):
    for score in scores_of(Recording(SAMPLES / name), [class_name], [True, False]):
        assert [report.finding_line(score, f) for f in score.verdict.findings] == []
        assert all(clock.is_right for clock in score.clocks)
