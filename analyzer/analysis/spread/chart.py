"""Charts of spreads, for reports: SVG, PNG or a page that needs nothing else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from analyzer.analysis.spread.wording import amount, counted, wrapped
from analyzer.errors import AnalyzerError
from analyzer.files import written_whole

if TYPE_CHECKING:
    from pathlib import Path

    from altair import VConcatChart

    from analyzer.analysis.spread import Spread
    from analyzer.analysis.spread.compare import Comparison

#: Endings that :func:`save` knows.
FORMATS = (".svg", ".png", ".html")

# Okabe and Ito's colours, which people with any colour vision tell apart.
_BLUE, _VERMILION, _GREY = "#0072B2", "#D55E00", "#767676"
_SERIES = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7"),
    *("#56B4E9", "#D55E00", "#F0E442", "#000000"),
)
_OTHERS = "others"
_UNKNOWN = "(unknown)"
_WIDTH = 520
_ROW = 26
_LINE = 84
_MOST_PANELS = 24
_PNG_SCALE = 2
_MOST_GAPS = 6  # between the labels of a time axis, each up to 72 wide
_SECOND = 10**9
_HOUR, _DAY = 3600 * _SECOND, 24 * 3600 * _SECOND
_ROUND_TIMES = (
    *(each * 10**6 for each in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(each * _SECOND for each in (1, 2, 5, 10, 15, 30)),
    *(each * 60 * _SECOND for each in (1, 2, 5, 10, 15, 30)),
    *(each * _HOUR for each in (1, 2, 3, 6, 12)),
)


def bar_chart(found: Spread) -> VConcatChart:
    """Draw shares as bars with their intervals, and a mark at what is expected.

    Parameters
    ----------
    found : Spread
        One panel for each subject, up to 24; a DaemonSet's that has the connections of
        one service only is left out.
    """
    alt = _altair()
    panels: list[Any] = []
    drawn: list[pl.DataFrame] = []
    for subject in found.subjects.to_dicts():
        rows = found.backends.filter(
            pl.col("subject_kind") == subject["subject_kind"],
            pl.col("subject") == subject["subject"],
            pl.col("group").is_not_null(),
        )
        shown = rows.drop("subject_kind", "subject")
        if len(panels) < _MOST_PANELS and not any(map(shown.equals, drawn)):
            drawn.append(shown)
            total = counted(subject["total"], subject["unit"])
            panels.append(_bars(rows, _title(subject, total)))
    chart: VConcatChart = alt.vconcat(*panels, spacing=24)
    return _finished(chart)


def time_chart(rows: pl.DataFrame) -> VConcatChart:
    """Draw what each backend got over time, stacked, and its shares below.

    Parameters
    ----------
    rows : pl.DataFrame
        See :func:`analyzer.analysis.spread.over_time.over_time`.
    """
    alt = _altair()
    panels = [
        _stacked(of_subject, f"{kind} {subject}")
        for (kind, subject), of_subject in rows.partition_by(
            "subject_kind", "subject", as_dict=True, maintain_order=True
        ).items()
    ]
    chart: VConcatChart = alt.vconcat(*panels[:_MOST_PANELS], spacing=24)
    return _finished(chart.resolve_scale(color="independent"))


def difference_chart(found: Comparison) -> VConcatChart:
    """Draw how much each backend's share differs, with intervals."""
    alt = _altair()
    panels = [
        _differences(
            found.backends.filter(
                pl.col("subject_kind") == subject["subject_kind"],
                pl.col("subject") == subject["subject"],
                pl.col("difference").is_not_null(),
            ),
            _title(subject, _compared(subject)),
        )
        for subject in found.subjects.head(_MOST_PANELS).to_dicts()
    ]
    chart: VConcatChart = alt.vconcat(*panels, spacing=24)
    return _finished(chart)


def check_format(path: Path) -> None:
    """Refuse a file whose ending is not one of :data:`FORMATS`.

    Raises
    ------
    AnalyzerError
        Before anything is read, and if what draws charts is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise AnalyzerError(
            f"{path}: charts are .svg, .png or .html files",
            hint="name the chart with one of these endings",
        )
    _altair()


def save(chart: VConcatChart, path: Path) -> None:
    """Write a chart, whole or not at all, without a browser or the network.

    Parameters
    ----------
    chart : altair.VConcatChart
    path : Path
        Its ending says in which format.
    """
    with written_whole(path) as beside:
        match path.suffix.lower():
            case ".html":
                chart.save(str(beside), format="html", inline=True)
            case ".png":
                chart.save(str(beside), format="png", scale_factor=_PNG_SCALE)
            case _:
                chart.save(str(beside), format="svg")


def _altair() -> Any:
    try:
        import altair as alt
        import vl_convert  # noqa: F401  altair calls it when it saves
    except ImportError as error:
        raise AnalyzerError(
            f"charts need altair and vl-convert-python ({error})",
            hint="pip install 'k8s-capture-analyzer[pictures]'",
        ) from error
    return alt


def _title(subject: dict[str, Any], counted: str) -> Any:
    sentence = subject["sentences"][0]
    return _altair().TitleParams(
        f"{subject['subject_kind']} {subject['subject']}: {counted}",
        subtitle=wrapped(sentence, _LINE),
    )


def _compared(subject: dict[str, Any]) -> str:
    unit, other = subject["unit"], subject["against"]
    told = f"{counted(subject['total'], unit)} against"
    told += f" {amount(subject['other_total'], unit)}"
    return told if other == subject["subject"] else f"{told} of {other}"


def _values(rows: pl.DataFrame) -> Any:
    """Give rows to the chart as plain values, times as ISO 8601 text."""
    times = pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    return _altair().Data(values=rows.with_columns(times).to_dicts())


def _bars(rows: pl.DataFrame, title: Any) -> Any:
    alt = _altair()
    unit = rows["unit"][0] if len(rows) else "connections"
    drawn = rows.with_columns(
        count=pl.Series([amount(value, unit) for value in rows[unit]], dtype=pl.String),
        label_at=pl.col("share_high").fill_null(0),
    )
    ends = pl.max_horizontal("share_high", "expected_share")
    farthest = drawn.select(ends.max()).item() or 1.0
    base = alt.Chart(_values(drawn)).encode(y=_names(drawn))
    is_outstanding = alt.datum.is_outstanding
    bars = base.mark_bar(height={"band": 0.62}).encode(
        x=alt.X(
            "share:Q",
            title=f"share of {unit}; line: 95 % interval, grey: expected",
            axis=alt.Axis(format="%", tickCount=6),
            scale=alt.Scale(domainMin=0, domainMax=farthest * 1.08),
        ),
        color=alt.condition(is_outstanding, alt.value(_VERMILION), alt.value(_BLUE)),
    )
    intervals = base.mark_rule(size=1.5, color="black").encode(
        x="share_low:Q", x2="share_high:Q"
    )
    caps = [
        base.mark_tick(color="black", thickness=1.5, size=8).encode(x=f"{end}:Q")
        for end in ("share_low", "share_high")
    ]
    expected = (
        base.transform_filter("isValid(datum.expected_share)")
        .mark_tick(color=_GREY, thickness=3, size=22)
        .encode(x="expected_share:Q")
    )
    counts = base.mark_text(align="left", dx=8).encode(x="label_at:Q", text="count:N")
    hidden = (
        base.transform_filter("!datum.is_shown")
        .mark_text(align="left", dx=8, color=_GREY, fontStyle="italic")
        .encode(x="label_at:Q", text=alt.value("not shown by these captures"))
    )
    shown = counts.transform_filter("datum.is_shown")
    layers = [bars, expected, intervals, *caps, shown, hidden]
    return alt.layer(*layers).properties(
        title=title, width=_WIDTH, height=alt.Step(_ROW)
    )


def _differences(rows: pl.DataFrame, title: Any) -> Any:
    alt = _altair()
    base = alt.Chart(_values(rows)).encode(y=_names(rows))
    colour = alt.condition(
        alt.datum.is_outstanding, alt.value(_VERMILION), alt.value(_BLUE)
    )
    axis = alt.Axis(format="+%", tickCount=6)
    title_of_axis = "difference of shares, with 95 % interval"
    return alt.layer(
        alt.Chart(alt.Data(values=[{"zero": 0}]))
        .mark_rule(color=_GREY, strokeDash=[4, 3])
        .encode(x="zero:Q"),
        base.mark_rule(size=2).encode(
            x=alt.X("difference_low:Q", title=title_of_axis, axis=axis),
            x2="difference_high:Q",
            color=colour,
        ),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            x="difference:Q", color=colour
        ),
    ).properties(title=title, width=_WIDTH, height=alt.Step(_ROW))


def _names(rows: pl.DataFrame) -> Any:
    alt = _altair()
    return alt.Y("group:N", title=None, sort=rows["group"].to_list())


def _stacked(rows: pl.DataFrame, title: str) -> Any:
    alt = _altair()
    drawn, names = _most_used(rows)
    colours = [*_SERIES[: len(names)]]
    for name in (_OTHERS, _UNKNOWN):
        if name in names:
            colours[names.index(name)] = _GREY if name == _OTHERS else "#D0D0D0"
    unit = rows["unit"][0]
    base = (
        alt.Chart(_values(drawn))
        .encode(
            x=alt.X(
                "start_time:T",
                title=None,
                scale=alt.Scale(type="utc"),
                axis=_time_axis(rows),
            ),
            x2="end_time:T",
            color=alt.Color(
                "group:N",
                title=None,
                sort=names,
                scale=alt.Scale(domain=names, range=colours),
            ),
        )
        .mark_bar(stroke="white", strokeWidth=0.5)
    )
    measured = {"duration": "seconds"}.get(unit, unit)
    axis = alt.Axis(format="~s" if unit == "bytes" else ",f")
    amounts = base.encode(y=alt.Y("bottom:Q", title=measured, axis=axis), y2="top:Q")
    shares = base.encode(
        y=alt.Y("share_bottom:Q", title="share", axis=alt.Axis(format="%")),
        y2="share_top:Q",
    )
    return alt.vconcat(
        amounts.properties(title=title, width=_WIDTH, height=150),
        shares.properties(width=_WIDTH, height=110),
        spacing=10,
    )


def _time_axis(rows: pl.DataFrame) -> Any:
    """Label round times, no closer than intervals are long."""
    starts, ends = rows["start_time"].dt.epoch("ns"), rows["end_time"].dt.epoch("ns")
    first, last = int(starts[0]), int(ends[-1])
    interval = int(ends[0]) - first
    least = (last - first) / _MOST_GAPS
    days = math.ceil(least / _DAY) * _DAY
    steps = (interval, *(each for each in _ROUND_TIMES if each > interval), days)
    step = next(each for each in steps if each >= least)
    times = [each / 10**6 for each in range(-(-first // step) * step, last + 1, step)]
    if step % _SECOND:
        clock = "%H:%M:%S.%L"
    elif step < 6 * _HOUR:
        clock = "%H:%M:%S"
    else:
        clock = "%m-%d %H:%M"
    alt = _altair()
    # An expression, for Vega-Lite makes dates of a list, and of dates in one second
    # Vega keeps the last one.
    return alt.Axis(format=clock, values=alt.ExprRef(str(times)), labelFlush=False)


def _most_used(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Keep as many backends as there are colours; take the others together."""
    named = rows.with_columns(pl.col("group").fill_null(_UNKNOWN))
    totals = (
        named.group_by("group")
        .agg(pl.col("amount").sum())
        .sort("amount", "group", descending=[True, False])
    )
    names = [name for name in totals["group"] if name != _UNKNOWN]
    if len(names) > len(_SERIES):
        names = names[: len(_SERIES) - 1]
        named = named.with_columns(
            pl.when(pl.col("group").is_in([*names, _UNKNOWN]))
            .then("group")
            .otherwise(pl.lit(_OTHERS))
            .alias("group")
        )
    order = sorted(names)
    present = set(named["group"])
    order += [name for name in (_OTHERS, _UNKNOWN) if name in present]
    drawn = (
        named.group_by("start_time", "end_time", "group")
        .agg(pl.col("amount").sum())
        .with_columns(
            order=pl.col("group").replace_strict(
                order, range(len(order)), return_dtype=pl.Int64
            )
        )
        .sort("start_time", "order")
        .with_columns(
            top=pl.col("amount").cum_sum().over("start_time"),
            total=pl.col("amount").sum().over("start_time"),
        )
        .filter(pl.col("amount") > 0)
        .with_columns(bottom=pl.col("top") - pl.col("amount"))
        .with_columns(
            share_bottom=pl.col("bottom") / pl.col("total"),
            share_top=pl.col("top") / pl.col("total"),
        )
    )
    return drawn, order


def _finished(chart: VConcatChart) -> VConcatChart:
    font = "Arial, Liberation Sans, Helvetica, sans-serif"
    finished: VConcatChart = (
        chart.properties(padding=14, background="white")
        .configure(font=font)
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            gridColor="#E4E4E4",
            domainColor="#888888",
            labelLimit=260,
        )
        .configure_axisY(grid=False)
        .configure_text(fontSize=12)
        .configure_legend(labelFontSize=12, labelLimit=260)
        .configure_title(
            fontSize=14,
            subtitleFontSize=12,
            subtitleColor="#444444",
            anchor="start",
            frame="group",
            offset=10,
        )
    )
    return finished
