"""Show a spread to people: what each backend got, and what to think of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from analyzer.analysis.spread.wording import amount, counted, wrapped
from analyzer.cli import format as say
from analyzer.cli.output import width
from analyzer.cli.table import Column, as_given, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer.analysis import Comparison, Spread
    from analyzer.cli.output import Output
    from analyzer.cli.table import Forms

Row = dict[str, Any]

_NARROWING = (
    *("clients", "duration", "packets", "bytes", "requests", "connections"),
    *("bar", "node", "bar", "bar"),
)
_HEADINGS = {
    "pod": "pod",
    "node": "node",
    "client": "client",
    "entry-node": "entry_node",
}
_MOST_ROWS = 20
_COLOURS = {"uneven": "red", "consistent": "green", "explained": "yellow"}


def print_spread(found: Spread, output: Output) -> None:
    """Print a block for each subject."""
    subjects = found.subjects.to_dicts()
    if not subjects:
        click.echo("No connections to services here.")
        return
    shown: list[tuple[Row, pl.DataFrame]] = []
    for at, subject in enumerate(subjects):
        of_subject = found.backends.filter(
            pl.col("subject_kind") == subject["subject_kind"],
            pl.col("subject") == subject["subject"],
        )
        if at:
            click.echo()
        counted = of_subject.drop("subject_kind", "subject")
        same = [name for name, rows in shown if rows.equals(counted)]
        if same:
            _paragraph(f"{_title(subject)}, the same as those of {_name(same[0])}")
            continue
        shown.append((subject, counted))
        _print_block(subject, of_subject.to_dicts(), output)
    tested = found.subjects["p_value"].drop_nulls().len()
    if tested > 1:
        click.echo()
        _say_tests(tested, "uneven")


def print_comparison(found: Comparison, output: Output) -> None:
    """Print a block for each subject that both spreads have."""
    for at, subject in enumerate(found.subjects.to_dicts()):
        if at:
            click.echo()
        rows = found.backends.filter(
            pl.col("subject_kind") == subject["subject_kind"],
            pl.col("subject") == subject["subject"],
        ).to_dicts()
        _print_compared(subject, rows, output)
    tested = found.subjects["p_value"].drop_nulls().len()
    if tested > 1:
        click.echo()
        _say_tests(tested, "different")


def print_over_time(rows: pl.DataFrame, output: Output) -> None:
    """Print a table for each subject: a row for each interval."""
    if rows.is_empty():
        click.echo("No connections to services here.")
        return
    blocks = rows.partition_by("subject_kind", "subject", maintain_order=True)
    for at, block in enumerate(blocks):
        if at:
            click.echo()
        first = block.row(0, named=True)
        unit, groups = first["unit"], block["group"].unique(maintain_order=True)
        names = [each for each in groups if each is not None]
        shared = _shared_beginning(names)
        times = block["start_time"].unique(maintain_order=True)
        amounts = block["amount"].to_numpy().reshape(len(times), len(groups))
        clock = "%H:%M:%S%.3f" if any(times.dt.millisecond()) else "%H:%M:%S"
        table: dict[Column, list[Any]] = {
            Column("from_(UTC)", is_essential=True): times.dt.strftime(clock).to_list(),
            Column("all", as_given, align_right=True): [
                amount(each, unit) for each in amounts.sum(axis=1)
            ],
        }
        for group, of_group in zip(groups, amounts.T, strict=True):
            heading = "unknown" if group is None else group.removeprefix(shared)
            table[Column(heading, as_given, align_right=True)] = [
                amount(each, unit) for each in of_group
            ]
        title = f"{_name(first)}: {unit} over time"
        if shared:
            title += f", by {shared}..."
        output.rows(title, list(table), list(zip(*table.values(), strict=True)))


def _shared_beginning(names: list[str]) -> str:
    """Give what all names begin with, up to a dash or dot."""
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)
    differs = (a != b for a, b in zip(first, last, strict=False))
    length = next((at for at, is_so in enumerate(differs) if is_so), len(first))
    shared = first[:length]
    return shared[: max(shared.rfind("-"), shared.rfind(".")) + 1]


def _print_compared(subject: Row, rows: list[Row], output: Output) -> None:
    unit = subject["unit"]
    digits = _digits((row["difference_low"], row["difference_high"]) for row in rows)
    share = partial(say_share, digits=digits)
    table: dict[Column, list[Any]] = {
        Column(_HEADINGS[subject["by"]], as_given, is_essential=True): [
            _group(row) for row in rows
        ],
        Column(unit, as_given, align_right=True): [
            amount(row["amount"], unit) for row in rows
        ],
        Column("against", as_given, align_right=True): [
            amount(row["other_amount"], unit) for row in rows
        ],
        number("share", share): [row["share"] for row in rows],
        number("against_share", share): [row["other_share"] for row in rows],
        number("difference", lambda value: f"{value * 100:+.{digits}f} %"): [
            row["difference"] for row in rows
        ],
        Column("95_%_interval", as_given, align_right=True): [
            _difference_interval(row, digits) for row in rows
        ],
    }
    title = f"{_name(subject)}: {counted(subject['total'], unit)}, against"
    title += f" {amount(subject['other_total'], unit)}"
    if subject["against"] != subject["subject"]:
        title += f" of {subject['against']}"
    output.rows(
        title,
        list(table),
        list(zip(*table.values(), strict=True)),
        narrowing=("against_share", "share"),
    )
    if subject["test"]:
        _paragraph(f"{subject['test']}: p = {_p_value(subject['p_value'])}")
    for at, sentence in enumerate(subject["sentences"]):
        colour = "red" if subject["verdict"] == "different" and not at else None
        _paragraph(sentence, fg=colour, bold=not at)


def _difference_interval(row: Row, digits: int) -> str:
    if row["difference"] is None:
        return "-"
    low, high = row["difference_low"], row["difference_high"]
    return f"{low * 100:+.{digits}f} to {high * 100:+.{digits}f} %"


def _say_tests(number_of_tests: int, word: str) -> None:
    _paragraph(
        f"{number_of_tests} tests: what is called {word} is so at 5 % after Holm's"
        " correction for their number.",
        dim=True,
    )


def _print_block(subject: Row, rows: list[Row], output: Output) -> None:
    unit, by = subject["unit"], subject["by"]
    left_out = 0
    digits = _digits((row["share_low"], row["share_high"]) for row in rows)
    share = partial(say_share, digits=digits)
    if by == "client" and len(rows) > _MOST_ROWS:
        rows.sort(key=lambda row: -row[unit])
        left_out = len(rows) - _MOST_ROWS
        rows = rows[:_MOST_ROWS]
    table: dict[Column, list[Any]] = {
        Column(_HEADINGS[by], as_given, is_essential=True): [
            _group(row) for row in rows
        ]
    }
    if any(row["node"] for row in rows):
        table[Column("node", as_given)] = [row["node"] or "-" for row in rows]
    table[Column(unit, as_given, align_right=True, is_essential=True)] = [
        amount(row[unit], unit) for row in rows
    ]
    table |= {
        number("share", share): [row["share"] for row in rows],
        Column("95_%_interval", as_given, align_right=True): [
            _interval(row, digits) for row in rows
        ],
    }
    if any(row["expected_share"] is not None for row in rows):
        table[number("expected", share)] = [row["expected_share"] for row in rows]
    if any(row["share"] is not None for row in rows):
        table[Column("bar", as_given)] = list(_bars(rows))
    for other in ("connections", "requests", "bytes"):
        if other != unit:
            table[Column(other, as_given, align_right=True)] = [
                amount(row[other], other) for row in rows
            ]
    if by != "client":
        table[number("clients", say.count)] = [row["clients"] for row in rows]
    output.rows(
        _title(subject),
        list(table),
        list(zip(*table.values(), strict=True)),
        narrowing=_NARROWING,
    )
    if left_out:
        click.echo(f"and {say.plural(left_out, 'client')} more")
    _paragraph(_figures(subject))
    for at, sentence in enumerate(subject["sentences"]):
        colour = None if at else _COLOURS.get(subject["verdict"])
        _paragraph(sentence, fg=colour, bold=not at)


def _title(subject: Row) -> str:
    total = counted(subject["total"], subject["unit"])
    lasted = subject["end_time"] - subject["start_time"]
    span = say.duration(round(lasted.total_seconds() * 1e9))
    return f"{_name(subject)}: {total} in {span}"


def _name(subject: Row) -> str:
    return f"{subject['subject_kind']} {subject['subject']}"


def _group(row: Row) -> Forms:
    if row["group"] is not None:
        return str(row["group"])
    return "(unknown)"


def say_share(share: float, digits: int = 0) -> str:
    """Write a share: ``25 %``, ``2.1 %``; with so many decimals at least."""
    value = share * 100
    if 0 < value < 9.95:
        digits = max(digits, 1)
    return f"{value:.{digits}f} %"


def _digits(intervals: Iterable[tuple[float | None, float | None]]) -> int:
    """Give the decimals of percentages that tell the ends of all intervals apart."""
    widths = [
        high - low for low, high in intervals if low is not None and high is not None
    ]
    narrowest = 100 * min(filter(None, widths), default=100.0)
    return next((digits for digits in range(3) if narrowest * 10**digits >= 3), 3)


def _interval(row: Row, digits: int) -> str:
    if row["share"] is None:
        return "not seen here" if row["group"] is not None else "-"
    low, high = row["share_low"] * 100, row["share_high"] * 100
    return f"{low:.{digits}f} - {high:.{digits}f} %"


def _bars(rows: list[Row]) -> Iterator[Forms]:
    """Draw shares as bars of three lengths, with a mark at what is expected."""
    shares = [(row["share"] or 0.0, row["expected_share"]) for row in rows]
    longest = max((max(share, mark or 0.0) for share, mark in shares), default=0.0)
    for share, mark in shares:
        yield tuple(_bar(share, mark, longest, length) for length in (24, 16, 9))


def _bar(share: float, mark: float | None, longest: float, length: int) -> str:
    if not longest:
        return ""
    eighths = round(share / longest * length * 8)
    drawn = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]
    cells = list(drawn.strip().ljust(length))
    if mark is not None:
        cells[min(round(mark / longest * length), length - 1)] = "│"
    return "".join(cells).rstrip()


def _figures(subject: Row) -> str:
    """Say how even it is in numbers, and how it was tested."""
    many = subject["backends"]
    what = {"client": "clients", "entry-node": "entry nodes", "node": "nodes"}.get(
        subject["by"], "backends"
    )
    parts = []
    if many > 1:
        parts.append(
            f"effective number of {what} {subject['effective_backends']:.1f} of {many}"
            f" (Jain index {subject['jain']:.2f})"
        )
    if subject["test"]:
        parts.append(f"{subject['test']}: p = {_p_value(subject['p_value'])}")
    if subject["needed"]:
        needed = f"{subject['needed']:,} {_choices(subject)}"
        fewer = subject["choices"] < subject["needed"]
        there = f", not {subject['choices']:,}," if fewer else ""
        parts.append(
            f"it takes {needed}{there} to see a backend with twice its share (80 %"
            " power)"
        )
    return "; ".join(parts)


def _choices(subject: Row) -> str:
    hypothesis = subject["null_hypothesis"] or ""
    return "clients" if "once per client" in hypothesis else "connections"


def _p_value(value: float) -> str:
    return f"{value:.0e}" if value < 0.001 else f"{value:.2g}"


def _paragraph(text: str, **style: Any) -> None:
    if text:
        first, *others = wrapped(text, width() - 2)
        click.echo(click.style("\n  ".join([first, *others]), **style))
