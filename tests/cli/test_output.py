import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from analyzer.cli.output import Output, output_options
from analyzer.cli.table import Column

ROWS = [("nginx", 80, ["10.1.0.2", "10.1.0.3"], None), ('a "b", c', 90, [], "x")]
COLUMNS = ["service", "port", Column("endpoint_ips"), "node"]


@click.command()
@output_options
def show(output: Output) -> None:
    """Show the rows."""
    output.text("Four columns:")
    output.rows("Services", COLUMNS, iter(ROWS))


def printed(*arguments, **environment):
    result = CliRunner().invoke(show, arguments, env=environment)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_table_has_its_title_and_headings():
    assert printed(COLUMNS="80").splitlines() == [
        "Four columns:",
        "Services",
        "SERVICE   PORT  ENDPOINT IPS        NODE",
        "nginx       80  10.1.0.2, 10.1.0.3  -",
        'a "b", c    90  -                   x',
    ]


def test_an_empty_table_says_so(capsys):
    Output("table").rows("Services", COLUMNS, [])
    assert capsys.readouterr().out == "Services\n  none\n"


@pytest.mark.parametrize("option", ["--json", "--format=json"])
def test_json_is_one_object_a_line(option):
    records = [json.loads(line) for line in printed(option).splitlines()]
    assert records[0] == {
        "service": "nginx",
        "port": 80,
        "endpoint_ips": ["10.1.0.2", "10.1.0.3"],
        "node": None,
    }
    assert len(records) == 2


def test_csv_reads_back_with_lists_as_json():
    records = list(csv.DictReader(io.StringIO(printed("--format", "csv"))))
    assert records[1]["service"] == 'a "b", c'
    assert json.loads(records[0]["endpoint_ips"]) == ["10.1.0.2", "10.1.0.3"]
    assert records[0]["node"] == ""


def test_json_writes_what_json_lacks_as_text_or_seconds(capsys):
    values = (datetime(2023, 5, 2, tzinfo=UTC), timedelta(seconds=1.5), Path("x"), {1})
    Output("json").rows("", ["time", "span", "path", "ports"], [values])
    assert json.loads(capsys.readouterr().out) == {
        "time": "2023-05-02T00:00:00+00:00",
        "span": 1.5,
        "path": "x",
        "ports": [1],
    }


def test_contradicting_formats_are_wrong_usage():
    result = CliRunner().invoke(show, ["--json", "--format", "csv"])
    assert result.exit_code == 2
    assert "contradicts" in result.stderr


def test_columns_without_room_are_named():
    assert "(no room in 20 columns for: endpoint ips, node)" in printed(COLUMNS="20")


def test_a_file_gets_a_hundred_columns_without_colour(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    Output("table").rows("T", ["name"], [("x" * 300,)])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) == 100
    assert "\x1b" not in out
