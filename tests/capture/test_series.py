"""What tcpdump and dumpcap rotate is one capture: the tables are those of the whole."""

import gzip
import struct
import subprocess

import pyarrow as pa
import pytest

import analyzer
from analyzer.capture.series import find_series, series_path
from analyzer.pipeline import summarise
from analyzer.tables.batch import BATCH_ROWS
from captures.files import Frame, pcap
from captures.lab import START, Conversation
from tests.flows.test_threads import busy  # noqa: F401  a fixture
from tests.frames import CONFORMANCE, NODEPORT, require_program, rows, unpacked

SECOND = 1_000_000_000
SYN = bytes(Conversation().client("S"))
NAMES = ("flows", "packets")


def records_of(octets):
    """Cut a pcap into its header and its records."""
    records, at = [], 24
    while at < len(octets):
        length = struct.unpack_from("<I", octets, at + 8)[0]
        records.append(octets[at : at + 16 + length])
        at += 16 + length
    return octets[:24], records


def cut_into(path, names, *, pack=bytes):
    """Write a capture's records into as many files, cut where no flow ends."""
    header, records = records_of(path.read_bytes())
    step = -(-len(records) // len(names))
    for number, name in enumerate(names):
        part = records[number * step : (number + 1) * step]
        name.write_bytes(pack(header + b"".join(part)))
    return names


def tables(paths, threads=1, **options):
    built = analyzer.build_tables(paths, threads=threads, packets=True, **options)
    return {name: without_names(built.arrow(name)) for name in NAMES}


def without_names(table):
    """Leave out what a capture is called; texts as they are, not as codes."""
    table = table.drop_columns(
        [each for each in ("capture", "point") if each in table.schema.names]
    )
    fields = [
        field.with_type(field.type.value_type)
        if pa.types.is_dictionary(field.type)
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def totals(paths):
    (summary,) = analyzer.build_tables(paths).captures
    names = ("packets", "wire_bytes", "start_time", "end_time", "interfaces", "stops")
    return {name: getattr(summary, name) for name in names}


def points_of(paths, **options):
    return [each.points for each in analyzer.build_tables(paths, **options).captures]


@pytest.fixture
def in_order(busy, tmp_path):  # noqa: F811
    """Put the busy capture in order of time: a file begins after the one before."""
    header, records = records_of(busy.read_bytes())
    records.sort(key=lambda record: struct.unpack_from("<II", record))
    path = tmp_path / "whole" / "node.eth0.pcap"
    path.parent.mkdir()
    path.write_bytes(header + b"".join(records))
    return path


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    "timeouts",
    [{}, {"idle_timeout": 2.0}, {"idle_timeout": 30.0, "active_timeout": 3.0}],
    ids=["no timeout", "idle", "active"],
)
def test_flows_that_cross_every_border_are_the_same(
    in_order, tmp_path, timeouts, threads
):
    names = [tmp_path / f"node.eth0.pcap{number or ''}" for number in range(7)]
    cut = cut_into(in_order, names)
    whole = tables(in_order, **timeouts)
    assert tables(cut, threads, **timeouts) == whole
    assert totals(cut) == totals(in_order)


def test_the_order_of_the_files_is_that_of_their_packets(in_order, tmp_path):
    names = [tmp_path / f"node.eth0.pcap{number}" for number in (2, 3, 0, 1)]
    cut = cut_into(in_order, names)
    assert tables(sorted(cut)) == tables(in_order)


def test_files_that_tcpdump_cuts_are_one_capture(in_order, tmp_path):
    command = [
        require_program("tcpdump"),
        "-r",
        str(in_order),
        "--nano",
        "-C",
        "1",
        "-Z",
        "root",
    ]
    target = tmp_path / "node.eth0.pcap"
    subprocess.run([*command, "-w", str(target)], check=True, capture_output=True)
    files = sorted(tmp_path.glob("node.eth0.pcap*"))
    assert len(files) > 2
    (summary,) = analyzer.build_tables(files).captures
    assert (summary.name, summary.files) == ("node.eth0.pcap", len(files))
    assert tables(files, 2) == tables(in_order)


def test_files_that_editcap_cuts_are_one_capture(tmp_path):
    whole = unpacked(NODEPORT / "k8s-worker02.ens18.pcapng.gz", tmp_path)
    folder = tmp_path / "cut"
    folder.mkdir()
    command = [require_program("editcap"), "-c", "300", str(whole)]
    subprocess.run([*command, str(folder / "cut.pcapng")], check=True)
    files = sorted(folder.iterdir())
    assert len(files) > 2
    assert tables(files, 2) == tables(whole)
    (summary,) = analyzer.build_tables(files).captures
    assert summary.name == "cut.pcapng"


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_series_has_one_name_and_one_point(in_order, tmp_path, pack):
    ending = ".gz" if pack is gzip.compress else ""
    names = [
        tmp_path / f"node.eth0-20240101-12000{number}.pcap{ending}"
        for number in range(3)
    ]
    cut = cut_into(in_order, names, pack=pack)
    (summary,) = analyzer.build_tables(cut).captures
    assert (summary.name, summary.points) == ("node.eth0.pcap", ["node/eth0"])
    assert summary.size == sum(path.stat().st_size for path in cut)
    assert tables(cut, 2) == tables(in_order)
    packets = rows(analyzer.scan_packets(cut))
    assert {row["capture"] for row in packets} == {"node.eth0.pcap"}


@pytest.mark.parametrize(
    "named", ["x-20240101.pcap", "x-20240102.pcap", "x.pcap"], ids=lambda name: name
)
def test_any_file_of_a_series_names_its_point(tmp_path, named):
    files = [tmp_path / "x-20240101.pcap", tmp_path / "x-20240102.pcap"]
    for number, path in enumerate(files):
        path.write_bytes(pcap([Frame(SYN, START + number * SECOND)]))
    assert points_of(files, points={tmp_path / named: "n1/ens18"}) == [["n1/ens18"]]


def test_files_of_different_points_are_no_series(tmp_path):
    files = [tmp_path / "x-20240101.pcap", tmp_path / "x-20240102.pcap"]
    for number, path in enumerate(files):
        path.write_bytes(pcap([Frame(SYN, START + number * SECOND)]))
    points = dict(zip(files, ("n1/ens18", "n2/ens18"), strict=True))
    assert points_of(files, points=points) == [["n1/ens18"], ["n2/ens18"]]


@pytest.mark.parametrize("where", [0, 1, 2])
def test_an_empty_file_of_a_series_changes_nothing(in_order, tmp_path, where):
    names = [tmp_path / f"node.eth0.pcap{number}" for number in range(4)]
    filled = [name for number, name in enumerate(names) if number != where]
    cut_into(in_order, filled)
    names[where].write_bytes(in_order.read_bytes()[:24])
    assert tables(names, 2) == tables(in_order)
    assert summarise([str(name) for name in names])[0].files == 4


def test_a_last_file_that_is_cut_is_damage_with_its_name(in_order, tmp_path):
    names = [tmp_path / f"node.eth0.pcap{number}" for number in range(3)]
    cut_into(in_order, names)
    names[2].write_bytes(names[2].read_bytes()[:-3])
    (summary,) = analyzer.build_tables(names).captures
    (damage,) = summary.damage
    assert damage.reason.endswith("octets into a block in node.eth0.pcap2")
    assert damage.frame == summary.packets == totals(in_order)["packets"] - 1


def test_a_file_cut_in_the_middle_of_a_series_does_not_end_it(in_order, tmp_path):
    names = [tmp_path / f"node.eth0.pcap{number}" for number in range(3)]
    cut_into(in_order, names)
    names[1].write_bytes(names[1].read_bytes()[:-3])
    (summary,) = analyzer.build_tables(names).captures
    assert summary.packets == totals(in_order)["packets"] - 1


def write(folder, *files):
    """Write files of packets at some seconds; the captures' names and packets."""
    for name, seconds, *how in files:
        frames = [Frame(SYN, START + int(second * SECOND)) for second in seconds]
        (folder / name).write_bytes(pcap(frames, link_type=how[0] if how else 1))
    paths = [folder / name for name, *_ in files]
    found = analyzer.build_tables(paths).captures
    return [(each.name, each.packets) for each in found]


def test_files_that_overlap_are_captures_of_their_own(tmp_path):
    files = [("x-20240101.pcap", (0, 9)), ("x-20240102.pcap", (5, 12))]
    assert write(tmp_path, *files) == [("x.pcap", 2), ("x-20240102.pcap", 2)]


@pytest.mark.parametrize("packets", [2, BATCH_ROWS + 1])
def test_names_do_not_depend_on_when_a_series_breaks(tmp_path, packets):
    files = [tmp_path / "x-20240101.pcap", tmp_path / "x-20240102.pcap"]
    first = [Frame(SYN, START + number * 1000) for number in range(packets - 1)]
    files[0].write_bytes(pcap([*first, Frame(SYN, START + 9 * SECOND)]))
    files[1].write_bytes(pcap([Frame(SYN, START + 5 * SECOND)]))
    expected = {"x.pcap": packets, "x-20240102.pcap": 1}
    scanned = analyzer.scan_packets(files).group_by("capture").len()
    assert dict(scanned.collect().iter_rows()) == expected
    built = analyzer.build_tables(files, packets=True)
    assert {each.name: each.packets for each in built.captures} == expected
    counted = built.packets.group_by("capture").len()
    assert dict(counted.collect().iter_rows()) == expected


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_files_have_as_many_packets_together_as_no_batch_has_room_for(
    tmp_path, threads
):
    """Each file alone leaves room in the batch that its packets are in."""
    each = BATCH_ROWS * 2 // 5
    files = [tmp_path / f"x.pcap{number or ''}" for number in range(6)]
    for number, path in enumerate(files):
        start = START + number * SECOND
        path.write_bytes(
            pcap(Frame(SYN, start + 1000 * packet) for packet in range(each))
        )
    built = analyzer.build_tables(files, packets=True, threads=threads)
    times = built.packets.select("time").collect().to_series()
    assert times.len() == 6 * each
    assert times.is_sorted()
    assert times.is_unique().all()


def test_a_packet_a_little_late_does_not_end_a_series(tmp_path):
    assert write(tmp_path, ("x.pcap", (0, 9)), ("x.pcap1", (8.5, 12))) == [
        ("x.pcap", 4)
    ]


def test_a_series_that_breaks_goes_on_as_another_capture(tmp_path):
    files = [
        (f"x.pcap{n}", at) for n, at in enumerate([(0, 4), (5, 9), (7, 12), (13,)])
    ]
    assert write(tmp_path, *files) == [("x.pcap", 4), ("x.pcap2", 3)]


def test_link_types_that_differ_are_captures_of_their_own(tmp_path):
    files = [("x.pcap", (0,)), ("x.pcap1", (5,), 113)]
    assert write(tmp_path, *files) == [("x.pcap", 1), ("x.pcap1", 1)]


@pytest.mark.parametrize(
    "names",
    [
        ("worker01.eth0.pcap", "worker02.eth0.pcap"),
        ("ip-10-12-13-14.pcap", "ip-10-12-13-15.pcap"),
        ("node1.pcap", "node2.pcap"),
        ("x1", "x2"),
        ("a/x.pcap", "b/x.pcap1"),
        ("x.pcap1", "x.pcap1.gz"),
        ("cali123456.pcap", "cali123457.pcap"),
    ],
)
def test_names_that_differ_otherwise_are_different_captures(tmp_path, names):
    paths = [tmp_path / name for name in names]
    for number, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pcap([Frame(SYN, START + number * SECOND)]))
    found = analyzer.build_tables(paths).captures
    assert [each.path for each in found] == [str(path) for path in paths]


def test_a_file_of_a_series_that_is_no_capture_is_named(tmp_path):
    (tmp_path / "x.pcap1").write_text("not a capture")
    (tmp_path / "x.pcap").write_bytes(pcap([Frame(SYN, START)]))
    with pytest.raises(analyzer.AnalyzerError, match=r"x\.pcap1: not a pcap"):
        analyzer.build_tables([tmp_path / "x.pcap", tmp_path / "x.pcap1"])


def test_a_capture_that_is_given_twice_is_no_series():
    path = str(CONFORMANCE / "zeek_wikipedia.pcap")
    assert [each.path for each in find_series([path, path])] == [path, path]


@pytest.mark.parametrize(
    ("name", "common"),
    [
        ("node.eth0-20240101-120000.pcap", "node.eth0.pcap"),
        ("node.eth0_2024-01-01_12:00:00.pcap.gz", "node.eth0.pcap"),
        ("20240101T120000Z-node.eth0.pcap", "node.eth0.pcap"),
        ("node-1700000000-eth0.pcap.zst", "node-eth0.pcap"),
        ("node.eth0-235959.pcap", "node.eth0.pcap"),
        ("node.eth0_00001_20240101120000.pcapng", "node.eth0.pcapng"),
        ("node.eth0_20240101120000_00001.pcapng", "node.eth0.pcapng"),
        ("node.eth0-20240101-120000.pcap17", "node.eth0.pcap"),
        ("x.pcap02.gz", "x.pcap"),
        ("20240101.pcap", "capture.pcap"),
        ("node-246060.pcap", "node-246060.pcap"),
        ("node-12345.pcap", "node-12345.pcap"),
    ],
)
def test_the_common_part_of_a_name_has_no_time(name, common):
    assert series_path(name) == common
