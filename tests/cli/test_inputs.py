import io
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import analyzer
from analyzer.cli.inputs import find_inputs, input_options
from analyzer.errors import CaptureError, TablesError
from tests.frames import ROOT

NODEPORT = ROOT / "captures/tunnels/vxlan_nodeport.pcap"
PORT_8472 = ROOT / "captures/tunnels/vxlan_port_8472.pcap"
RECORDED = ROOT / "captures/cluster/nodeport"
MASTER = RECORDED / "k8s-master.ens18.pcap.gz"


@pytest.fixture
def tables_directory(tmp_path):
    directory = tmp_path / "written"
    analyzer.build_tables(MASTER).write(directory)
    return directory


def rows(tables):
    return tables.connections.collect()


def test_captures_are_correlated_on_the_fly():
    made = find_inputs([str(NODEPORT)]).tables()
    assert rows(made).equals(rows(analyzer.build_tables(NODEPORT)))


def test_tables_are_what_was_written(tables_directory):
    inputs = find_inputs([str(tables_directory)])
    assert inputs.is_tables
    assert rows(inputs.tables()).equals(rows(analyzer.build_tables(MASTER)))


def test_parquet_tables_are_tables(tmp_path):
    analyzer.build_tables(NODEPORT).write(tmp_path / "p", parquet=True)
    assert len(rows(find_inputs([str(tmp_path / "p")]).tables())) == 1


@pytest.mark.parametrize("table", ["flows", "connections", "hops", "clocks"])
@pytest.mark.parametrize("left", [0, 1000])
def test_a_table_that_is_damaged_is_named(tables_directory, table, left):
    path = tables_directory / f"{table}.arrow"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(TablesError, match=rf"{table}\.arrow: not a table of this tool"):
        find_inputs([str(tables_directory)]).tables()


def test_directories_and_globs_of_captures_are_captures():
    inputs = find_inputs([str(NODEPORT.parent), str(RECORDED / "*.ens18.pcap.gz")])
    assert not inputs.is_tables
    assert {NODEPORT, MASTER} < set(inputs.paths)


def test_standard_input_is_a_capture(monkeypatch):
    class Piped:
        buffer = io.BytesIO(NODEPORT.read_bytes())

        def isatty(self):
            return False

    monkeypatch.setattr("sys.stdin", Piped())
    assert find_inputs(["-"]).paths == (Path("-"),)


def test_cluster_state_names_connections_of_written_tables_anew(tables_directory):
    cluster = analyzer.Cluster.load([RECORDED / "cluster"])
    named = rows(find_inputs([str(tables_directory)], cluster=cluster).tables())
    expected = rows(analyzer.build_tables(MASTER, cluster=cluster))
    assert expected["service_name"].n_unique() > 1
    assert named.equals(expected)


def test_what_was_read_stays_known_when_connections_are_named_anew(tables_directory):
    cluster = analyzer.Cluster.load([RECORDED / "cluster"])
    tables = find_inputs([str(tables_directory)], cluster=cluster).tables()
    assert [each.name for each in tables.captures] == [MASTER.name]
    assert "packets" not in tables


def test_another_input_is_read_in_the_same_way(tables_directory):
    cluster = analyzer.Cluster.load([RECORDED / "cluster"])
    inputs = find_inputs([str(PORT_8472)], cluster=cluster, vxlan_ports=(8472,))
    other = inputs.beside([str(MASTER)])
    assert (other.paths, other.vxlan_ports) == ((MASTER,), (8472,))
    assert inputs.beside([str(tables_directory)]).cluster is cluster


def test_tables_beside_captures_are_refused(tables_directory):
    with pytest.raises(TablesError, match="not the only input"):
        find_inputs([str(NODEPORT), str(tables_directory)])


def test_one_table_is_no_input(tables_directory):
    with pytest.raises(TablesError, match=r"flows\.arrow: one table") as raised:
        find_inputs([str(tables_directory / "flows.arrow")])
    assert str(tables_directory) in raised.value.hint


def test_what_is_not_there_is_told():
    with pytest.raises(CaptureError, match="no such file"):
        find_inputs(["nothing.pcap"])


@click.command()
@input_options
def show(inputs):
    """Show inputs."""
    click.echo([path.name for path in inputs.paths])
    click.echo(list(inputs.points.values()))
    click.echo(inputs.tables().flows.collect()["protocol"].unique().to_list())


def test_options_say_how_captures_are_read():
    arguments = [str(PORT_8472), "--point", f"n1/eth0={PORT_8472}"]
    named = ["['vxlan_port_8472.pcap']", "['n1/eth0']"]
    outer = CliRunner().invoke(show, arguments).stdout.splitlines()
    assert outer == [*named, "['udp']"]
    inner = CliRunner().invoke(show, [*arguments, "--vxlan-port", "8472"])
    assert inner.stdout.splitlines() == [*named, "['icmp']"]


@pytest.mark.parametrize("option", [["--vxlan-port", "8472"], ["--point", "n/e=f"]])
def test_tables_cannot_be_read_otherwise(tables_directory, option):
    result = CliRunner().invoke(show, [str(tables_directory), *option])
    assert result.exit_code == 2
    assert "is a tables directory" in result.stderr
