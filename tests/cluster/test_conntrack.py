"""Connection tracking entries.

The samples are what conntrack 1.4.7 and the kernel printed about the same nine entries;
``conntrack -L -o xml,id`` says in another format what is in them.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.cluster import Cluster
from analyzer.cluster.conntrack import read_lines
from tests.cluster.objects import a_node

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[..., Cluster]

SAMPLES = Path(__file__).parent / "samples"
RECORDINGS = Path(__file__).parents[2] / "captures" / "cluster"
LISTS = ("conntrack-L.txt", "conntrack-L-plain.txt", "nf_conntrack.txt")

TUPLE = "src=10.1.0.1 dst=10.96.0.1 sport=4000 dport=80"
REPLY = "src=10.244.0.9 dst=10.1.0.1 sport=8080 dport=4000"


def flows_of_xml() -> list[dict[str, Any]]:
    """Read the XML that conntrack wrote."""
    flows = []
    for line in (SAMPLES / "conntrack.xml").read_text().splitlines():
        found: dict[str, Any] = {}
        for meta in ET.fromstring(line).findall("meta"):  # noqa: S314
            prefix = "reply_" if meta.get("direction") == "reply" else ""
            if meta.get("direction") == "independent":
                found["id"] = int(meta.findtext("id") or 0)
                found["is_replied"] = meta.find("unreplied") is None
                continue
            layer = meta.find("layer4")
            assert layer is not None
            found["protocol"] = {"icmpv6": "icmp6"}.get(
                layer.get("protoname", ""), layer.get("protoname")
            )
            if found["protocol"] == "unknown":
                found["protocol"] = layer.get("protonum")
            for end in ("src", "dst"):
                found[f"{prefix}{end}_ip"] = meta.findtext(f"layer3/{end}")
                port = layer.findtext(f"{end[0]}port")
                found[f"{prefix}{end}_port"] = int(port) if port else None
        flows.append(found)
    return flows


def entries(cluster: Cluster) -> list[dict[str, Any]]:
    return cluster.conntrack_table().to_dicts()


def test_a_list_says_what_conntrack_says_in_xml() -> None:
    lines = (SAMPLES / "conntrack-L.txt").read_text().splitlines()
    table, misread = read_lines(lines)
    expected = flows_of_xml()
    assert len(expected) == 9
    assert misread == []
    rows = table.select(list(expected[0])).to_dicts()
    by_id = {row["id"]: row for row in rows}
    assert by_id == {flow["id"]: flow for flow in expected}


@pytest.mark.parametrize("name", LISTS)
def test_all_lists_say_the_same(load: Load, name: str) -> None:
    def tuples(cluster: Cluster) -> list[tuple[Any, ...]]:
        # The kernel does not name DCCP, nor its ports, without its module.
        table = cluster.conntrack_table().drop("start_time", "node")
        known = table.filter(~pl.col("protocol").is_in(["33", "dccp"]))
        return known.sort(pl.all()).rows()

    wanted = load(**{"a.list.txt": (SAMPLES / "conntrack-L.txt").read_text()})
    cluster = Cluster.load([SAMPLES / name])
    (source,) = cluster.sources
    assert (source.kind, source.objects, source.remarks) == ("conntrack", 9, ())
    assert tuples(cluster) == tuples(wanted)
    assert len(tuples(wanted)) == 8


def test_events_and_lists_are_about_the_same_entries(load: Load) -> None:
    texts = {
        f"node-a.{name}": (SAMPLES / name).read_text()
        for name in ("conntrack-E.txt", *LISTS[:2])
    }
    table = load(**texts).conntrack_table()
    assert table.height == 9
    assert set(table["node"]) == {"node-a"}
    assert table["start_time"].null_count() == 0
    assert table.filter(pl.col("end_time").is_not_null())["protocol"].to_list() == [
        "udp",
        "udp",
    ]
    icmp = table.filter(pl.col("protocol") == "icmp6").to_dicts()[0]
    assert (icmp["src_ip"], icmp["icmp_id"], icmp["src_port"]) == ("fd00::1", 78, None)


def test_columns_have_their_types(load: Load) -> None:
    empty = Cluster().conntrack_table()
    assert empty.height == 0
    told = load((SAMPLES / "conntrack-L.txt").read_text()).conntrack_table()
    assert told.schema == empty.schema
    assert told.schema["start_time"] == pl.Datetime("ns", "UTC")
    assert told.schema["reply_dst_port"] == pl.UInt16


def test_nat_is_what_the_two_directions_do_not_share(load: Load) -> None:
    line = f"tcp      6 431999 ESTABLISHED {TUPLE} {REPLY} [ASSURED] mark=0 use=1"
    (row,) = entries(load(line))
    assert (row["dst_ip"], row["dst_port"]) == ("10.96.0.1", 80)
    assert (row["reply_src_ip"], row["reply_src_port"]) == ("10.244.0.9", 8080)
    assert (row["start_time"], row["end_time"], row["is_replied"]) == (None, None, True)


def events(*told: tuple[float, str], id: int | None = 7) -> str:  # noqa: A002
    unreplied = {"NEW": "[UNREPLIED] "}
    last = f" id={id}" if id else ""
    return "".join(
        f"[{at:.6f}]\t[{event}] ipv4     2 tcp      6 120 SYN_SENT {TUPLE} "
        f"{unreplied.get(event, '')}{REPLY}{last}\n"
        for at, event in told
    )


def test_events_of_one_entry_are_one_row(load: Load) -> None:
    text = events((100.25, "NEW"), (100.5, "UPDATE"), (220.0, "DESTROY"))
    (row,) = entries(load(text))
    assert row["start_time"] == datetime.fromtimestamp(100.25, UTC)
    assert row["end_time"] == datetime.fromtimestamp(220, UTC)
    assert row["is_replied"]


def test_an_id_that_comes_again_is_another_entry(load: Load) -> None:
    text = events((1, "NEW"), (2, "UPDATE"), (3, "DESTROY"), (4, "NEW"), (9, "DESTROY"))
    rows = entries(load(text))
    assert [(row["start_time"].second, row["end_time"].second) for row in rows] == [
        (1, 3),
        (4, 9),
    ]
    assert [row["is_replied"] for row in rows] == [True, True]


def test_an_entry_that_nobody_answered(load: Load) -> None:
    (row,) = entries(load(events((1, "NEW"))))
    assert not row["is_replied"]


def test_the_same_events_in_two_files_count_once(load: Load) -> None:
    text = events((1, "NEW"), (3, "DESTROY"), (4, "NEW"))
    cluster = load(**{"node-a.one.txt": text, "node-a.two.txt": text})
    assert len(entries(cluster)) == 2


def test_the_same_entry_on_two_nodes_is_two_rows(load: Load) -> None:
    text = events((1, "NEW"))
    cluster = load(**{"node-a.ct.txt": text, "node-b.ct.txt": text})
    assert [row["node"] for row in entries(cluster)] == ["node-a", "node-b"]


def test_an_older_entry_begins_with_what_was_seen_first(load: Load) -> None:
    (row,) = entries(load(events((5, "UPDATE"), (8, "DESTROY"))))
    assert row["start_time"].second == 5


def test_a_list_without_ids_is_about_the_last_entry(load: Load) -> None:
    text = events((1, "NEW"), (3, "DESTROY"), (4, "NEW"))
    listed = f"tcp      6 100 ESTABLISHED {TUPLE} {REPLY} [ASSURED] use=1\n"
    rows = entries(load(f"{text}{listed}"))
    assert [(row["start_time"].second, row["is_replied"]) for row in rows] == [
        (1, True),
        (4, True),
    ]


def test_a_list_that_tells_starts_is_about_that_entry(load: Load) -> None:
    text = events((10, "NEW"), (13, "DESTROY"), (20, "NEW"), id=None)
    starts = [f"Thu Jan  1 00:00:{second} 1970" for second in (10, 20, 40)]
    lists = [
        f"tcp      6 100 ESTABLISHED {TUPLE} {REPLY} [ASSURED] [start={start}] use=1\n"
        for start in starts
    ]
    rows = entries(load("".join([text, *lists])))
    assert [(row["start_time"].second, row["is_replied"]) for row in rows] == [
        (10, True),
        (20, True),
        (40, True),
    ]
    rows = entries(load("".join([text, lists[1]])))
    assert [row["is_replied"] for row in rows] == [True, True], "DESTROY has no mark"


def test_lists_of_different_times_tell_connections_apart(load: Load) -> None:
    lists = [
        f"tcp      6 100 ESTABLISHED {TUPLE} {REPLY} [ASSURED] "
        f"delta-time=5 [start={start}] use=1\n"
        for start in ("Mon Nov 23 16:11:36 2026", "Tue Dec  1 06:01:06 2026")
    ]
    cluster = load("".join([*lists, lists[0]]))
    assert [row["start_time"] for row in entries(cluster)] == [None, None]
    # Another node's events tell the time zone of all.
    begin = datetime(2026, 11, 23, 7, 11, 36, tzinfo=UTC)
    other = events((begin.timestamp(), "NEW")) + lists[0].replace("use", "id=7 use")
    cluster = load(**{"file0": "".join(lists), "node-b.x.txt": other})
    assert [(row["node"], row["start_time"]) for row in entries(cluster)] == [
        ("node-b", begin),
        (None, begin),
        (None, datetime(2026, 11, 30, 21, 1, 6, tzinfo=UTC)),
    ]


@pytest.mark.parametrize("hours", [0, 9, -5, 5.75])
def test_events_tell_the_nodes_time_zone(load: Load, hours: float) -> None:
    begin = datetime(2026, 11, 23, 16, 11, 36, 900_000, tzinfo=UTC)
    text = events((begin.timestamp(), "NEW"))
    other = TUPLE.replace("4000", "4001")
    local = (begin + timedelta(hours=hours)).strftime("%a %b %d %H:%M:%S %Y")
    text += "".join(
        f"tcp 6 100 ESTABLISHED {sent} {REPLY} [start={local}] id={number}\n"
        for sent, number in ((TUPLE, 7), (other, 8))
    )
    first, second = entries(load(text))
    assert {first["start_time"], second["start_time"]} == {
        begin,
        begin.replace(microsecond=0),
    }


def test_the_node_is_told_by_its_tunnels(load: Load) -> None:
    lines = [
        f"udp 17 26 src={src} dst={dst} sport=4000 dport=4789 [UNREPLIED] "
        f"src={dst} dst={src} sport=4789 dport=4000"
        for src, dst in (("192.0.2.1", "192.0.2.2"), ("192.0.2.3", "192.0.2.1"))
    ]
    nodes = [a_node(f"node-{end}", f"192.0.2.{end}") for end in (1, 2, 3)]
    cluster = load(*nodes, conntrack="\n".join(lines))
    assert {row["node"] for row in entries(cluster)} == {"node-1"}
    cluster = load(*nodes, conntrack=lines[0])
    assert {row["node"] for row in entries(cluster)} == {None}


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("node-a.ct.txt", "node-a"),
        ("conntrack.txt", None),
        ("conntrack.list.txt", None),
        ("nf_conntrack", None),
    ],
)
def test_the_node_is_told_by_the_files_name(
    load: Load, name: str, node: str | None
) -> None:
    cluster = load(**{name: events((1, "NEW"))})
    assert [row["node"] for row in entries(cluster)] == [node]


def test_the_node_is_told_by_the_directorys_name(tmp_path: Path, load: Load) -> None:
    (tmp_path / "node-a").mkdir()
    (tmp_path / "node-a" / "conntrack.txt").write_text(events((1, "NEW")))
    cluster = load(a_node("node-a", "192.0.2.1"))
    assert [row["node"] for row in entries(cluster)] == ["node-a"]


def test_a_session_has_prompts_and_summaries(load: Load) -> None:
    listed = (SAMPLES / "conntrack-L-plain.txt").read_text()
    summary = "conntrack v1.4.7 (conntrack-tools): 9 flow entries have been shown.\n"
    cluster = load(
        f"root@node-a:~# conntrack -L\n{summary}{listed}"
        f"root@node-b:~# conntrack -L | grep src=\n{listed}{summary}"
        "root@node-b:~# kubectl get po\nNAME READY STATUS RESTARTS AGE\n"
        "web 1/1 Running 0 1m\n"
    )
    assert not any(source.remarks for source in cluster.sources)
    nodes = cluster.conntrack_table().group_by("node").len().sort("node").rows()
    assert nodes == [("node-a", 9), ("node-b", 9)]
    assert len(cluster.pods) == 1


def test_lines_that_broke_off_are_reported(load: Load) -> None:
    whole = f"tcp      6 100 ESTABLISHED {TUPLE} {REPLY} use=1"
    broken = f"tcp      6 100 ESTABLISHED {TUPLE}"
    cluster = load(
        "\n".join([whole, broken, broken, whole.replace("10.1.", "10.999.")])
    )
    (source,) = cluster.sources
    ((line, text),) = ((remark.line, remark.text) for remark in source.remarks)
    assert (line, text) == (2, broken)
    assert source.objects == 1
    assert "2 more" in source.remarks[0].reason


def test_a_hundred_thousand_lines_take_a_second(tmp_path: Path) -> None:
    with (tmp_path / "node-a.events.txt").open("w") as file:
        for number in range(25_000):
            sent = f"src=10.1.{number % 250}.1 dst=10.96.0.1"
            back = f"src=10.244.0.9 dst=10.1.{number % 250}.1"
            ports = f"sport={1024 + number // 250} dport=80"
            for event in ("    [NEW]", " [UPDATE]", " [UPDATE]", "[DESTROY]"):
                file.write(
                    f"[{1795450296 + number}.918450]\t{event} ipv4     2 tcp      6 "
                    f"120 SYN_SENT {sent} {ports} {back} sport=80 dport=9 id={number}\n"
                )
    begin = time.process_time()
    cluster = Cluster.load([tmp_path])
    assert cluster.conntrack_table().height == 25_000
    assert time.process_time() - begin < 10


@given(st.lists(st.text(max_size=60), max_size=6))
def test_no_garbage_breaks_it(garbage: list[str]) -> None:
    lines = (SAMPLES / "conntrack-E.txt").read_text().splitlines()[:6]
    mixed = [
        line[: len(line) // 2] + junk + line[len(line) // 2 :]
        for line, junk in zip(lines, garbage, strict=False)
    ]
    table, misread = read_lines([*garbage, *mixed])
    assert table.height + len(misread) <= len(garbage) + len(mixed)


ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@given(
    st.lists(
        st.tuples(ADDRESSES, ADDRESSES, st.integers(0, 65535), st.integers(0, 65535)),
        min_size=1,
        max_size=20,
    )
)
def test_every_tuple_comes_out_as_it_was_written(
    tuples: list[tuple[str, str, int, int]],
) -> None:
    lines = [
        f"tcp 6 1 NONE src={src} dst={dst} sport={sport} dport={dport} "
        f"src={dst} dst={src} sport={dport} dport={sport} use=1"
        for src, dst, sport, dport in tuples
    ]
    table, misread = read_lines(lines)
    assert misread == []
    assert table.select("src_ip", "dst_ip", "src_port", "dst_port").rows() == tuples
    reply = table.select(
        "reply_dst_ip", "reply_src_ip", "reply_dst_port", "reply_src_port"
    )
    assert reply.rows() == tuples


@pytest.mark.parametrize("name", ["clusterip", "dualstack"])
def test_recordings_are_understood_whole(name: str) -> None:
    cluster = Cluster.load([RECORDINGS / name / "conntrack"])
    assert not any(source.remarks for source in cluster.sources)
    assert {row["node"] for row in entries(cluster)} == {
        "k8s-master",
        "k8s-worker01",
        "k8s-worker02",
        "k8s-worker03",
    }
