"""conntrack's lines are read, and the nodes' entries joined into connections."""

import pytest

from captures.testbed import conntrack, netns, paths
from captures.testbed.cluster import NODES, ROUND_2
from captures.testbed.conntrack import Entry, Tuple
from captures.testbed.truth import read_entries

NEW = (
    "[1795413481.376864]\t    [NEW] ipv4     2 tcp      6 120 SYN_SENT "
    "src=192.168.2.100 dst=192.168.2.30 sport=47854 dport=30080 [UNREPLIED] "
    "src=10.1.39.199 dst=10.1.235.192 sport=80 dport=24303 id=3016515869"
)
ECHO = (
    "ipv4     2 icmp     1 29 src=10.1.235.216 dst=10.1.39.199 type=8 code=0 id=77 "
    "packets=3 bytes=252 src=10.1.39.199 dst=10.1.235.216 type=0 code=0 id=77 "
    "packets=3 bytes=252 mark=0 use=1 id=4242"
)
LISTED = (
    "ipv6     10 tcp      6 118 TIME_WAIT src=fd00::1 dst=fd00::2 sport=1 dport=80 "
    "packets=6 bytes=402 src=fd00::3 dst=fd00::1 sport=80 dport=1 packets=4 "
    "bytes=1069 [ASSURED] mark=0 use=1 id=7"
)


def test_an_event_tells_both_tuples():
    line = conntrack.parse_line(NEW)
    assert (line.time, line.event, line.state) == (1795413481.376864, "NEW", "SYN_SENT")
    assert line.original == ("192.168.2.100", 47854, "192.168.2.30", 30080)
    assert line.reply == ("10.1.39.199", 80, "10.1.235.192", 24303)
    assert line.id == "3016515869"
    assert line.packets is None


def test_an_echo_s_id_is_not_the_entry_s():
    line = conntrack.parse_line(ECHO)
    assert line.original == ("10.1.235.216", 77, "10.1.39.199", 77)
    assert (line.id, line.packets, line.state) == ("4242", (3, 3), None)


def test_a_listed_entry_has_counters():
    line = conntrack.parse_line(LISTED)
    assert (line.state, line.packets, line.bytes) == ("TIME_WAIT", (6, 4), (402, 1069))
    assert line.original.src == "fd00::1"


@pytest.mark.parametrize("text", ["", "conntrack v1.4.7: 3 flow entries", "tcp 6 src="])
def test_other_text_is_no_line(text):
    assert conntrack.parse_line(text) is None


def test_every_connection_of_the_earlier_recording_is_joined_as_it_was(
    earlier, earlier_truth
):
    entries = {node.name: read_entries(earlier, node.name) for node in NODES}
    chains = conntrack.join(entries, paths.Map(ROUND_2).home)
    found = {
        tuple((entry.node, entry.id) for entry in chain): paths.tuples_of(chain)
        for chain in chains
    }
    expected = {
        tuple((hop["node"], hop["ct_id"]) for hop in record["hops"]): [
            (t["src"], t["sport"], t["dst"], t["dport"]) for t in record["tuples"]
        ]
        for record in earlier_truth
    }
    assert found == expected


def entry(node, original, sent_on, start):
    return Entry(node, f"{node}{start}", "tcp", original, sent_on.reversed(), start)


DIRECT = Tuple("10.1.235.216", 5000, "10.1.79.75", 80)


def test_an_unchanged_tuple_begins_at_its_sender_s_node():
    home = paths.Map(ROUND_2).home
    entries = {
        "k8s-worker01": [entry("k8s-worker01", DIRECT, DIRECT, 1.0)],
        "k8s-master": [entry("k8s-master", DIRECT, DIRECT, 1.001)],
    }
    (chain,) = conntrack.join(entries, home)
    assert [e.node for e in chain] == ["k8s-master", "k8s-worker01"]


def test_a_tuple_used_again_joins_with_its_own_time():
    vip = Tuple("10.1.235.216", 5000, "10.152.183.123", 80)
    starts = (1.0, 1.2, 1.4)
    entries = {
        "k8s-master": [entry("k8s-master", vip, DIRECT, s) for s in starts],
        "k8s-worker01": [
            entry("k8s-worker01", DIRECT, DIRECT, s + 0.01) for s in starts
        ],
    }
    chains = conntrack.join(entries, paths.Map(ROUND_2).home)
    assert [[e.start for e in chain] for chain in chains] == [
        [s, pytest.approx(s + 0.01)] for s in starts
    ]


def test_an_entry_that_belongs_nowhere_is_an_error():
    looped = Tuple("10.1.235.216", 1, "10.1.79.75", 1)
    other = Tuple("10.1.79.75", 1, "10.1.235.216", 1)
    entries = {
        "k8s-master": [entry("k8s-master", looped, other, 1.0)],
        "k8s-worker01": [entry("k8s-worker01", other, looped, 1.0)],
    }
    with pytest.raises(netns.TestbedError, match="belong to no connection"):
        conntrack.join(entries, {})
