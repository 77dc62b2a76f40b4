"""Charts are files that need nothing else, and show what the tables say."""

import re
import sys
from datetime import timedelta

import numpy as np
import pytest

from analyzer.analysis import compare, over_time, spread
from analyzer.analysis.spread.chart import (
    bar_chart,
    check_format,
    difference_chart,
    save,
    time_chart,
)
from analyzer.diagram.widths import text_width
from analyzer.errors import AnalyzerError
from tests.analysis.simulated import (
    PODS,
    SECOND,
    START,
    cluster,
    connections,
    drawn,
)
from tests.svg import assert_valid

WIDTH = 520
CALLS = connections(drawn(90, (0.1, 0.3, 0.3, 0.3), seed=1))


def bars(**asked):
    return bar_chart(spread(CALLS, cluster=cluster(), **asked))


def over():
    return time_chart(over_time(CALLS, 1.0, cluster=cluster(), service="web"))


def differences():
    other = connections(drawn(90, seed=2))
    return difference_chart(compare(CALLS, other, cluster=cluster(), service="web"))


@pytest.mark.parametrize("draw", [bars, over, differences])
@pytest.mark.parametrize(
    ("ending", "start"),
    [(".svg", b"<svg"), (".png", b"\x89PNG\r\n"), (".html", b"<!DOCTYPE html>")],
)
def test_charts_are_written_in_every_format(draw, ending, start, tmp_path):
    path = tmp_path / f"spread{ending}"
    save(draw(), path)
    assert path.read_bytes().lstrip().startswith(start)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("draw", [bars, over, differences])
def test_a_chart_names_the_service_and_every_pod(draw, tmp_path):
    save(draw(), tmp_path / "spread.svg")
    text = (tmp_path / "spread.svg").read_text()
    assert "default/web" in text
    for pod in PODS:
        assert f">{pod}<" in text


@pytest.mark.parametrize("draw", [bars, over, differences])
def test_a_chart_is_valid(draw, tmp_path):
    save(draw(), tmp_path / "spread.svg")
    assert_valid((tmp_path / "spread.svg").read_text())


def test_a_page_needs_no_other_file(tmp_path):
    save(bars(), tmp_path / "spread.html")
    page = (tmp_path / "spread.html").read_text()
    assert not re.search(r"<(script|link)[^>]*(src|href)=", page)
    assert "cdn." not in page


def values(chart):
    """Give the rows that each part of a chart is drawn from, once."""
    found = []

    def search(part):
        if isinstance(part, dict):
            rows = part.get("data", {}).get("values")
            if rows and rows not in found:
                found.append(rows)
            part = list(part.values())
        if isinstance(part, list):
            for each in part:
                search(each)

    search({name: part for name, part in chart.to_dict().items() if name != "data"})
    search({"data": chart.to_dict().get("data", {})})
    return found


def test_bars_have_the_counts_the_intervals_and_the_expectation():
    found = spread(CALLS, cluster=cluster())
    (rows,) = values(bar_chart(found))  # the DaemonSet's are the same
    table = found.backends.filter(found.backends["subject_kind"] == "Service")
    for row, expected in zip(rows, table.iter_rows(named=True), strict=True):
        assert row["count"] == f"{expected['connections']:.0f}"
        for name in ("share", "share_low", "share_high", "expected_share"):
            assert row[name] == pytest.approx(expected[name])
        assert row["is_outstanding"] == expected["is_outstanding"]


@pytest.mark.parametrize(
    ("unit", "total", "of_each"),
    [
        ("connections", "90 connections", r"\d+"),
        ("bytes", "90 kB", r"[\d.]+ kB"),
        ("duration", "900 ms", r"\d+ ms"),
    ],
)
def test_amounts_have_their_unit(unit, total, of_each, tmp_path):
    chart = bars(unit=unit)
    save(chart, tmp_path / "spread.svg")
    assert f">Service default/web: {total}<" in (tmp_path / "spread.svg").read_text()
    (rows,) = values(chart)
    assert all(re.fullmatch(of_each, row["count"]) for row in rows)


def test_a_comparison_names_what_it_is_with(tmp_path):
    other = connections(drawn(90, seed=2), service_name="shop")
    found = compare(
        CALLS, other, cluster=cluster(), service="web", other_service="shop"
    )
    save(difference_chart(found), tmp_path / "spread.svg")
    text = (tmp_path / "spread.svg").read_text()
    assert ">Service default/web: 90 connections against 90 of default/shop<" in text


def test_stacks_reach_the_total_of_each_interval():
    rows = over_time(CALLS, 1.0, cluster=cluster(), service="web")
    (drawn_rows,) = values(time_chart(rows))
    tops = {}
    for row in drawn_rows:
        tops[row["start_time"]] = max(tops.get(row["start_time"], 0), row["top"])
    assert sum(tops.values()) == 90
    assert all(row["share_top"] <= 1 + 1e-9 for row in drawn_rows)


@pytest.mark.parametrize("every", [0.02, 0.5, 1, 7, 3600, 86_400])
@pytest.mark.parametrize("length", [1, 6, 13, 100])
def test_labels_of_times_are_true_and_evenly_spaced(every, length, tmp_path):
    starts = [START, START + round((length - 1) * every * SECOND)]
    calls = connections(PODS[:2], start=starts)
    rows = over_time(calls, every, cluster=cluster(), service="web")
    first, last = rows["start_time"].min(), rows["end_time"].max()
    save(time_chart(rows), tmp_path / "spread.svg")
    text = (tmp_path / "spread.svg").read_text()
    found = re.findall(r'translate\(([\d.]+),16\)"[^>]*>([^<]+)<', text)
    labels = found[: len(found) // 2]
    assert found == labels * 2  # one axis below the other
    places = [float(place) for place, _ in labels]
    for place, (_, label) in zip(places, labels, strict=True):
        since = (last - first).total_seconds() * place / WIDTH
        time = first + timedelta(milliseconds=round(since * 1000))
        _, separator, rest = f"{time:%m-%d %H:%M:%S.%f}".partition(label)
        assert separator, (label, time)
        assert not rest.strip(":.0"), (label, time)
    gaps = np.diff(places)
    assert gaps == pytest.approx([gaps[0]] * len(gaps))
    assert max(text_width(label, 12) for _, label in labels) < gaps[0] - 8
    assert places[0] < gaps[0]
    assert WIDTH - places[-1] < gaps[0]


def test_amounts_over_time_are_written_out(tmp_path):
    save(over(), tmp_path / "spread.svg")
    assert ">10<" in (tmp_path / "spread.svg").read_text()


def test_many_backends_are_taken_together():
    many = [f"10.9.0.{at % 20}" for at in range(200)]
    calls = connections(
        drawn(200), backend_pod=None, backend_ip=many, backend_workload=None
    )
    rows = over_time(calls, 1.0, service="web")
    (drawn_rows,) = values(time_chart(rows))
    names = {row["group"] for row in drawn_rows}
    assert len(names) == 8
    assert "others" in names


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(AnalyzerError, match=r"charts are \.svg, \.png or \.html"):
        check_format(tmp_path / "spread.jpeg")


def test_what_is_not_installed_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(AnalyzerError, match="charts need altair") as raised:
        check_format(tmp_path / "spread.svg")
    assert "k8s-capture-analyzer[pictures]" in raised.value.hint
