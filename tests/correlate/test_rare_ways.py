"""Ways that are rare, and what must not be claimed of them."""

import itertools
import json

import analyzer
from tests.cluster.objects import a_list, a_node
from tests.correlate import ways
from tests.correlate.simulated import SECOND, Seen, Wire, ping, tcp, udp
from tests.correlate.ways import numbers
from tests.frames import rows

WEB = ways.Service("web", "web", "10.152.183.1", 80, 8080, node_port=30080)
OUTSIDER = ways.outsider(0)
A, B, C = ways.NODES


def test_datagrams_eliminate_nobody_though_clocks_disagree(tmp_path):
    web = [ways.pod("web", 0, A), ways.pod("web", 1, B)]
    cluster = ways.state(tmp_path, web, [WEB])
    wire = Wire(tmp_path, {B: -SECOND})
    walk = ways.Ways().to_service(OUTSIDER, 41000, WEB, "NodePort", A, web[1])
    seen = [each for each in walk.seen if ".eth0." in each.file]
    wire.carry(seen, udp(b"a question", b"an answer"))
    (row,) = wire.connections(cluster)
    assert row["backend_ip"] in (None, web[1].address)


def test_a_host_that_packets_pass_twice_has_a_clock(tmp_path):
    client, web = ways.pod("client", 5, C), ways.pod("web", 6, C)
    wire = Wire(tmp_path)
    made = ways.Ways()
    walk = made.direct(ways.pod("web", 7, A), 43000, web, 8080)
    wire.carry(walk.seen, tcp(*numbers(9)))
    walk = made.to_service(client, 41000, WEB, "NodePort", A, web)
    seen = [each for each in walk.seen if each.file != "node-c.eth0.pcap"]
    wire.carry(seen, tcp(*numbers(1)), at=1)
    for row in rows(wire.tables().clocks):
        assert abs(row["offset"]) <= row["bound"] or row["host"] == row["reference"]
        assert abs(row["drift_ppm"]) < 1


def test_datagrams_whose_request_one_point_missed_have_one_client(tmp_path):
    wire = Wire(tmp_path)
    client, server = ways.pod("client", 5, A), ways.pod("web", 6, B)
    early, *late = ways.Ways().direct(client, 41000, server, 9000).seen
    exchange = udp(b"a question", b"an answer")
    wire.carry([early], exchange)
    wire.carry(late, exchange[1:])
    (row,) = wire.connections()
    assert (row["client_ip"], row["client_port"]) == (client.address, 41000)
    assert row["snat_ip"] is None
    assert row["backend_ip"] in (None, server.address)


def test_a_low_port_of_masquerading_serves_nobody(tmp_path):
    wire = Wire(tmp_path)
    made = ways.Ways(itertools.count(2000))  # --random-fully takes ports from 1024
    walk = made.to_service(OUTSIDER, 41000, WEB, "NodePort", A, ways.pod("web", 6, B))
    wire.carry(walk.seen, tcp(*numbers(1), first=3))
    (row,) = wire.connections()
    assert (row["backend_ip"], row["snat_ip"]) == ("10.1.2.16", "10.1.1.0")


def test_the_path_is_right_where_one_node_alone_has_a_name(tmp_path):
    wire = Wire(tmp_path)
    made = ways.Ways()
    walk = made.to_service(OUTSIDER, 41000, WEB, "NodePort", A, ways.pod("web", 6, C))
    wire.carry(walk.seen, tcp(*numbers(1)))
    other = made.direct(ways.pod("x", 1, C), 41000, ways.pod("web", 7, B), 8080)
    at_c = [each for each in other.seen if each.file.startswith(C)]
    wire.carry(at_c, tcp(*numbers(2)), at=1)
    found = wire.connections()
    row = next(row for row in found if row["client_ip"] == OUTSIDER.address)
    assert row["points"] == [
        "node-a/eth0",
        "node-a/vxlan.calico",
        "node-a/eth0",
        "node-c/eth0",
        "node-c/vxlan.calico",
        "node-c/caliweb-6",
    ]


def test_a_node_s_call_of_its_own_port_is_not_taken_for_a_direct_one(tmp_path):
    wire = Wire(tmp_path)
    made = ways.Ways()
    web = ways.pod("web", 6, C), ways.pod("web", 7, B)
    own = made.to_service(ways.node(C), 41000, WEB, "NodePort", C, web[0])
    wire.carry(own.seen, tcp(*numbers(1)))
    other = made.to_service(ways.node(A), 42000, WEB, "ClusterIP", A, web[1])
    wire.carry(other.seen, tcp(*numbers(2)), at=1)
    row = next(row for row in wire.connections() if row["client_ip"] == "192.0.2.3")
    assert row["destination_ip"] is None


def test_a_datagram_leaves_its_sender_before_it_arrives(tmp_path):
    cluster = ways.state(tmp_path, [], [WEB])
    wire = Wire(tmp_path, {B: -SECOND})
    walk = ways.Ways().direct(ways.node(A), 41000, ways.node(B), 9000)
    wire.carry(walk.seen, udp(b"a question", None))
    (row,) = wire.connections(cluster)
    assert row["points"] == ["node-a/eth0", "node-b/eth0"]


def test_a_short_snapshot_eliminates_nobody_whose_leg_it_shows(tmp_path):
    web = [ways.pod("web", 0, A), ways.pod("web", 1, B)]
    cluster = ways.state(tmp_path, web, [WEB])
    wire = Wire(tmp_path)
    walk = ways.Ways().to_service(OUTSIDER, 41000, WEB, "NodePort", A, web[1])
    seen = [each for each in walk.seen if each.file == "node-a.eth0.pcap"]
    wire.carry(seen, udp(b"a question of some length", b"an answer"))
    wire.cut(96)
    found = wire.connections(cluster)
    row = next(row for row in found if row["client_ip"] == OUTSIDER.address)
    assert row["backend_ip"] in (None, web[1].address)


def test_a_pod_s_midstream_call_of_a_node_has_the_node_as_backend(tmp_path):
    client = ways.pod("client", 5, A)
    cluster = ways.state(tmp_path, [client], [WEB])
    wire = Wire(tmp_path)
    walk = ways.Ways(itertools.count(1500)).direct(client, 41000, ways.node(B), 10250)
    wire.carry(walk.seen, tcp(*numbers(1), first=3))
    (row,) = wire.connections(cluster)
    assert row["backend_ip"] in (None, "192.0.2.2")
    assert row["snat_ip"] == "192.0.2.1"


def test_who_masqueraded_a_node_s_call_is_not_guessed(tmp_path):
    made = ways.Ways()
    wire = Wire(tmp_path)
    # Two tunnels tell whose NIC node-a's is; none has ever ended at node-c.
    for n, far in enumerate(("192.0.2.2", "192.0.2.4")):
        inside = (ways.tunnel_ip(A), 50000 + n), (f"10.1.9.{n}", 80)
        outer = ways.node_ip(A), far
        seen = Seen("node-a.eth0.pcap", *inside, 63, outer=outer, reply_ttl=63)
        wire.carry([seen], tcp(*numbers(n)))
    there = ways.pod("web", 2, C)
    walk = made.to_service(ways.node(A), 41000, WEB, "NodePort", C, there)
    wire.carry(walk.seen, tcp(*numbers(2)), at=1)
    found = wire.connections()
    row = next(row for row in found if row["client_ip"] == ways.node_ip(A))
    assert row["backend_ip"] == there.address
    assert row["entry_node"] in (None, C)


def test_what_another_node_sent_on_did_not_enter_here(tmp_path):
    nodes = [a_node(name, ways.node_ip(name)) for name in (A, B)]
    path = tmp_path / "nodes.json"
    path.write_text(json.dumps(a_list(*nodes)))
    wire = Wire(tmp_path)
    walk = ways.Ways().direct(ways.node(A), 0, ways.pod("web", 1, B), 0)
    last = walk.seen[-1]
    wire.carry([last], ping({last.file: 7}))
    (row,) = wire.connections(analyzer.Cluster.load([path]))
    assert row["entry_node"] in (None, A)


def test_a_node_s_packets_leave_it_before_its_pod_takes_them(tmp_path):
    """Nothing is taken from the TTL between a node and the inside of its pod."""
    web, other = ways.pod("web", 6, A), ways.pod("web", 7, B)
    cluster = ways.state(tmp_path, [web, other], [WEB])
    for source in (ways.node_ip(A), "10.1.1.0"):  # by its tunnel's, if masqueraded
        wire = Wire(tmp_path)
        walk = ways.Ways().direct(ways.pod("web", 8, C), 43000, web, 8080)
        wire.carry(walk.seen, tcp(*numbers(9)))
        ends = (source, 41000), (web.address, 8080)
        wire.carry(
            [
                Seen("node-a.caliweb-6.pcap", *ends),
                Seen("web-6.eth0.pcap", *ends, delay=1),
            ],
            tcp(*numbers(1)),
            at=1,
        )
        for known in (cluster, None):
            row = wire.connections(known)[-1]
            assert row["points"] == ["node-a/caliweb-6", "web-6/eth0"]
