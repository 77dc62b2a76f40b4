"""What conntrack tells of tuples that were used again, by clocks that disagree."""

import pytest

import analyzer
from tests.correlate.lab import NODE_A, NODE_PORT, OUTSIDE, POD_A, POD_B
from tests.correlate.simulated import SECOND, START, Seen, Wire, tcp

FRONT = (NODE_A, NODE_PORT)
NIC = "node-a.eth0.pcap"
AGAIN = 41000
CLOCKS = {"none": 0, "ahead": 3 * SECOND, "behind": -3 * SECOND}


def event(kind, at, port, pod):
    """Write a line of ``conntrack -E -o timestamp,id``; events come a little late."""
    time = START / SECOND + at + 0.0002
    return (
        f"[{time:.6f}] {kind:>8} ipv4 2 tcp 6 120 SYN_SENT src={OUTSIDE} dst={NODE_A} "
        f"sport={port} dport={NODE_PORT} src={pod} dst={OUTSIDE} sport=80 "
        f"dport={port} id={round(at * 1000) + 1}"
    )


def backends(tmp_path, wire, lines):
    """Give the backend of each connection from the tuple that was used again."""
    path = tmp_path / "node-a.events.txt"
    path.write_text("\n".join(lines) + "\n")
    found = wire.connections(analyzer.Cluster.load([path]))
    return [row["backend_ip"] for row in found if row["client_port"] == AGAIN]


def carry(wire, port, at, **how):
    exchange = tcp(1000 * port + round(at * 1000), 77 + round(at * 1000), **how)
    wire.carry([Seen(NIC, (OUTSIDE, port), FRONT)], exchange, at=at)


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_clock_of_its_own_does_not_choose_the_entry(tmp_path, clock):
    wire = Wire(tmp_path, clocks={"node-a": CLOCKS[clock]})
    lines = []
    for n in range(5):
        carry(wire, 50000 + n, n)
        lines.append(event("[NEW]", n, 50000 + n, POD_A))
    pods = [POD_A, POD_B, POD_B, POD_A, POD_B]
    for n, pod in enumerate(pods):
        carry(wire, AGAIN, n / 2)
        lines.append(event("[NEW]", n / 2, AGAIN, pod))
    assert backends(tmp_path, wire, lines) == pods


def test_one_that_was_open_before_has_the_older_entry(tmp_path):
    wire = Wire(tmp_path)
    carry(wire, AGAIN, 60, first=3)
    carry(wire, AGAIN, 62)
    lines = [event("[NEW]", 0, AGAIN, POD_A), event("[NEW]", 62, AGAIN, POD_B)]
    assert backends(tmp_path, wire, lines) == [POD_A, POD_B]


def test_the_node_s_own_clock_tells_where_no_entry_is_the_only_one(tmp_path):
    wire = Wire(tmp_path, clocks={"node-a": 3 * SECOND})
    for n in range(4):  # for node-a's clock to be set right by more other flows
        path = [
            Seen("node-b.eth0.pcap", (OUTSIDE, 50000 + n), (POD_B, 80)),
            Seen("node-a.eth0.pcap", (OUTSIDE, 50000 + n), (POD_B, 80), delay=50),
        ]
        wire.carry(path, tcp(70_000_000 + n, 80_000_000 + n), at=n)
    for n in range(20):
        other = Seen("node-b.eth0.pcap", (OUTSIDE, 60000 + n), (POD_B, 80))
        wire.carry([other], tcp(90_000_000 + n, 95_000_000 + n), at=n / 4)
    pods = [POD_A, POD_B, POD_B, POD_A, POD_B]
    lines = []
    for n, pod in enumerate(pods):
        carry(wire, AGAIN, n / 2)
        lines.append(event("[NEW]", n / 2 + 3, AGAIN, pod))
    assert backends(tmp_path, wire, lines) == pods
