from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from analyzer.cli.options import capture_options, duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("30s", 30),
        ("500ms", 0.5),
        ("5m", 300),
        ("1.5h", 5400),
        ("1d", 86400),
    ],
)
def test_durations_have_units(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "5 parsecs", "1h30m", "nan"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(click.BadParameter, match="not a duration"):
        duration(text)


@click.command()
@capture_options
def show(captures, points, vxlan_ports):
    """Show the options."""
    click.echo(len(captures))
    click.echo({str(path): point for path, point in points.items()})
    click.echo(vxlan_ports)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.pcap", "b=c.pcap"):
        (tmp_path / name).touch()


@pytest.mark.usefixtures("here")
def test_points_belong_to_captures():
    points = ["--point", "n1/eth0=a.pcap", "--point", "n2/cali1=./b=c.pcap"]
    result = CliRunner().invoke(show, ["a.pcap", "b=c.pcap", *points])
    assert "{'a.pcap': 'n1/eth0', 'b=c.pcap': 'n2/cali1'}" in result.stdout


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("file", ["d/x.pcap", "x.pcap", "d/x-20240102.pcap"])
def test_a_rotated_capture_is_named_by_what_its_files_share(file):
    Path("d").mkdir()
    files = ["d/x-20240101.pcap", "d/x-20240102.pcap"]
    for path in files:
        Path(path).touch()
    result = CliRunner().invoke(show, [*files, "--point", f"n1/eth0={file}"])
    assert f"{{'{file}': 'n1/eth0'}}" in result.stdout


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("point", "complaint"),
    [
        ("n1/eth0", "not of the form NODE/IFACE=FILE"),
        ("=a.pcap", "not of the form NODE/IFACE=FILE"),
        ("n1/eth0=z.pcap", "z.pcap is not one of the captures"),
    ],
)
def test_a_point_of_nothing_is_wrong_usage(point, complaint):
    result = CliRunner().invoke(show, ["a.pcap", "--point", point])
    assert result.exit_code == 2
    assert complaint in result.stderr


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("port", ["0", "65536", "vxlan"])
def test_a_port_has_sixteen_bits(port):
    result = CliRunner().invoke(show, ["a.pcap", "--vxlan-port", port])
    assert result.exit_code == 2


@pytest.mark.usefixtures("here")
def test_vxlan_ports_add_up():
    ports = ["--vxlan-port", "8472", "--vxlan-port", "4790"]
    assert "(8472, 4790)" in CliRunner().invoke(show, ["a.pcap", *ports]).stdout
