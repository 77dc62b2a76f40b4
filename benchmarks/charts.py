"""Charts of what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import altair as alt

# Okabe and Ito's colours, which people with any colour vision tell apart.
US, PEER, THIRD = "#0072B2", "#999999", "#D55E00"
WIDTH = 420
ROW = 18


def bars(
    rows: Sequence[dict[str, Any]],
    heading: str,
    axis: str,
    *,
    lowest: float | None = None,
) -> alt.LayerChart:
    """Draw medians as bars, the fastest first, with their spread and their number.

    Parameters
    ----------
    rows : sequence of dict
        ``name``, ``rate`` with ``least`` and ``most``, ``text`` and ``color``.
    heading, axis : str
    lowest : float, optional
        Where a logarithmic scale begins; the scale is linear if it is not given.
    """
    import altair as alt

    scale = alt.Scale(type="log", domainMin=lowest) if lowest else alt.Scale()
    ordered = sorted(rows, key=lambda row: -row["rate"])
    names = [row["name"] for row in ordered]
    base = alt.Chart(alt.Data(values=ordered)).encode(
        y=alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelLimit=220))
    )
    bar = base.mark_bar(size=ROW - 6).encode(
        x=alt.X("rate:Q", scale=scale, title=axis, axis=alt.Axis(format="~s")),
        color=alt.Color("color:N", scale=None),
    )
    if lowest:
        bar = bar.encode(x2=alt.datum(lowest))
    spread = base.mark_rule(strokeWidth=2, color="black").encode(
        x=alt.X("least:Q", scale=scale), x2="most:Q"
    )
    text = base.mark_text(align="left", dx=6, fontSize=10).encode(
        x=alt.X("most:Q", scale=scale), text="text:N"
    )
    return (bar + spread + text).properties(
        title=alt.Title(heading, anchor="start"), width=WIDTH, height={"step": ROW}
    )


def lines(
    rows: Sequence[dict[str, Any]], heading: str, x: str, y: str, *, points: bool
) -> alt.Chart:
    """Draw one line for each ``name`` through ``x`` and ``y``.

    With ``points``, only what was measured is marked on the axis.
    """
    import altair as alt

    ticks: dict[str, Any] = {"format": "~s"}
    if points:
        ticks["values"] = sorted({row["x"] for row in rows})
    return (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_line(point=points)
        .encode(
            x=alt.X("x:Q", title=x, axis=alt.Axis(**ticks)),
            y=alt.Y("y:Q", title=y, scale=alt.Scale(zero=True)),
            color=alt.Color(
                "name:N", title=None, scale=alt.Scale(range=[US, THIRD, PEER])
            ),
        )
        .properties(title=alt.Title(heading, anchor="start"), width=WIDTH, height=200)
    )


def save(chart: alt.TopLevelMixin, path: Path) -> None:
    """Write a chart as SVG, on white: pages may be dark."""
    chart.configure(background="white", padding=12).save(path)
