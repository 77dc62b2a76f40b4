"""The columns of every table: name, type, meaning.

Times are ``timestamp[ns, UTC]``, durations ``duration[ns]``, counters u64, ports u16.
Names and addresses are dictionary-encoded utf8; addresses are canonical text (RFC 5952
for IPv6). What is not known is null, never 0 or the empty string.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

#: Changes whenever a column changes its name, type or meaning.
SCHEMA_VERSION = "2"


class Column(NamedTuple):
    """One column of a table.

    ``kind`` is ``u8`` to ``u64``, ``i64``, ``f64``, ``bool``, ``time``, ``duration``,
    ``text`` (utf8), ``address``, ``name`` (dictionary-encoded utf8), ``ids`` (list of
    u64), ``times`` (list of time) or ``names`` (list of utf8).
    """

    name: str
    kind: str
    meaning: str


PACKETS: tuple[Column, ...] = (
    Column("frame", "u64", "number of the frame in its capture, from 1"),
    Column("capture", "name", "file name of the capture"),
    Column("point", "name", "observation point, node/interface as far as known"),
    Column("time", "time", "when the frame was captured"),
    Column("captured_length", "u32", "octets of the frame in the capture"),
    Column("wire_length", "u32", "octets of the frame on the link"),
    Column("vlan", "u16", "outermost VLAN id"),
    Column("outer_src", "address", "source of the outermost encapsulating IP header"),
    Column("outer_dst", "address", "destination of that header"),
    Column("tunnel", "name", "innermost encapsulation: vxlan, geneve, gre, ipip"),
    Column("vni", "u32", "innermost VXLAN or Geneve network identifier"),
    Column("tunnel_depth", "u8", "encapsulations removed"),
    Column("ip_version", "u8", "4 or 6; null if no IP header was read"),
    Column("protocol", "name", "tcp, udp, icmp, icmp6, sctp, or the number as text"),
    Column("ethertype", "u16", "EtherType of the innermost link or network header"),
    Column("src_ip", "address", "source of the innermost IP header"),
    Column("src_port", "u16", "source port (TCP, UDP, SCTP)"),
    Column("dst_ip", "address", "destination of the innermost IP header"),
    Column("dst_port", "u16", "destination port (TCP, UDP, SCTP)"),
    Column("ttl", "u8", "time to live or hop limit"),
    Column("ip_id", "u16", "IPv4 identification"),
    Column("is_fragment", "bool", "carries a part of a fragmented datagram"),
    Column("tcp_flags", "u8", "CWR ECE URG ACK PSH RST SYN FIN, FIN lowest"),
    Column("seq", "u32", "TCP sequence number"),
    Column("ack", "u32", "TCP acknowledgement number field"),
    Column("window", "u16", "TCP window field, unscaled"),
    Column("payload_length", "u32", "octets above the transport header, on the link"),
    Column("stop_reason", "name", "why decoding stopped: truncated, malformed, ..."),
    Column("stop_layer", "name", "the header that could not be read"),
)

FLOWS: tuple[Column, ...] = (
    Column("flow_id", "u64", "number of the row, from 0"),
    Column("capture", "name", "file name of the capture"),
    Column("point", "name", "observation point, node/interface as far as known"),
    Column("protocol", "name", "tcp, udp, icmp, icmp6, sctp, or the number as text"),
    Column("originator_ip", "address", "sender of the SYN, else of the first packet"),
    Column("originator_port", "u16", "its port (TCP, UDP, SCTP)"),
    Column("responder_ip", "address", "the other end"),
    Column("responder_port", "u16", "its port (TCP, UDP, SCTP)"),
    Column("tunnel", "name", "innermost encapsulation: vxlan, geneve, gre, ipip"),
    Column("vni", "u32", "innermost VXLAN or Geneve network identifier"),
    Column("outer_originator_ip", "address", "tunnel endpoint on its side"),
    Column("outer_responder_ip", "address", "tunnel endpoint on the other side"),
    Column("vlan", "u16", "outermost VLAN id of the first packet"),
    Column("start_time", "time", "first packet"),
    Column("end_time", "time", "last packet"),
    Column("originator_packets", "u64", "frames from the originator"),
    Column("responder_packets", "u64", "frames from the responder"),
    Column("originator_bytes", "u64", "innermost IP octets from the originator"),
    Column("responder_bytes", "u64", "innermost IP octets from the responder"),
    Column("originator_payload_bytes", "u64", "octets above the transport header"),
    Column("responder_payload_bytes", "u64", "the same, from the responder"),
    Column("wire_bytes", "u64", "frame octets on the link, both ways"),
    Column("tcp_state", "name", "Zeek's conn_state: S0 S1 SF REJ S2 S3 RSTO RSTR ..."),
    Column("originator_tcp_flags", "u8", "OR of the originator's TCP flags"),
    Column("responder_tcp_flags", "u8", "OR of the responder's TCP flags"),
    Column("originator_isn", "u32", "sequence number of the SYN, seen or acknowledged"),
    Column("responder_isn", "u32", "sequence number of the SYN-ACK"),
    Column("handshake_rtt", "duration", "SYN to the ACK that ends the handshake"),
    Column("originator_retransmits", "u64", "segments whose octets passed here before"),
    Column("responder_retransmits", "u64", "the same, from the responder"),
    Column("fragments", "u64", "frames that carry a part of a fragmented datagram"),
    Column("icmp_errors", "u64", "ICMP errors that quote a packet of this flow"),
    Column("community_id", "text", "Community ID v1 of the innermost five-tuple"),
    # What is left alone by NAT and encapsulation, for correlation.
    Column("first_frame", "u64", "number of the flow's first frame in its capture"),
    Column("icmp_type", "u8", "ICMP type of the first packet"),
    Column("icmp_code", "u8", "ICMP code of the first packet"),
    Column("icmp_id", "u16", "ICMP identifier (echo, timestamp)"),
    Column("originator_ttl", "u8", "TTL or hop limit of the originator's first packet"),
    Column("responder_ttl", "u8", "TTL or hop limit of the responder's first packet"),
    Column("copies", "u64", "frames that repeat one of another interface (SLL only)"),
    Column("requests", "u64", "times the originator spoke (again) with payload"),
    Column("originator_syn_tsval", "u32", "TCP timestamp of the SYN"),
    Column("originator_syn_window", "u16", "window of the SYN"),
    Column("originator_syn_mss", "u16", "maximum segment size of the SYN"),
    Column("originator_syn_window_scale", "u8", "window scale shift of the SYN"),
    Column("originator_syn_options", "u32", "option kinds in order, four bits each"),
    Column("responder_syn_tsval", "u32", "TCP timestamp of the SYN-ACK"),
    Column("responder_syn_window", "u16", "window of the SYN-ACK"),
    Column("responder_syn_mss", "u16", "maximum segment size of the SYN-ACK"),
    Column("responder_syn_window_scale", "u8", "window scale shift of the SYN-ACK"),
    Column("responder_syn_options", "u32", "option kinds in order, four bits each"),
    Column("originator_seq_start", "u32", "lowest sequence number from the originator"),
    Column("originator_seq_end", "u32", "one past its highest sequence number"),
    Column("responder_seq_start", "u32", "lowest sequence number from the responder"),
    Column("responder_seq_end", "u32", "one past its highest sequence number"),
    Column("originator_digest", "u64", "digest of the originator's first datagram"),
    Column("responder_digest", "u64", "digest of the responder's first datagram"),
    Column("originator_packet_ids", "ids", "the four smallest packet ids, ascending"),
    Column("originator_packet_times", "times", "when each of them was captured"),
    Column("responder_packet_ids", "ids", "the four smallest packet ids, ascending"),
    Column("responder_packet_times", "times", "when each of them was captured"),
)

CONNECTIONS: tuple[Column, ...] = (
    Column("connection_id", "u64", "number of the row, from 0"),
    Column("protocol", "name", "tcp, udp, sctp, icmp, icmp6"),
    Column("client_ip", "address", "who called; the earliest source that is known"),
    Column("client_port", "u16", "its port (TCP, UDP, SCTP)"),
    Column("destination_ip", "address", "whom it called, as it sent it; null: unknown"),
    Column("destination_port", "u16", "the port that it called"),
    Column(
        "destination_kind",
        "name",
        "ClusterIP, NodePort, LoadBalancer, Pod, Node, External",
    ),
    Column("service_namespace", "name", "namespace of the service that it called"),
    Column("service_name", "name", "name of that service"),
    Column("service_port_name", "name", "name of the service's port"),
    Column("entry_node", "name", "node that translated it, else the first on its way"),
    Column("snat_ip", "address", "source that the backend saw, if it was rewritten"),
    Column("snat_port", "u16", "port of that source"),
    Column("backend_ip", "address", "who was meant to answer, after DNAT"),
    Column("backend_port", "u16", "its port (TCP, UDP, SCTP)"),
    Column("backend_pod", "name", "name of the pod that has the address"),
    Column("backend_namespace", "name", "namespace of that pod"),
    Column("backend_workload", "name", "who made that pod: DaemonSet/nginx-ds"),
    Column("backend_node", "name", "node that the backend is on"),
    Column("client_pod", "name", "name of the client's pod"),
    Column("client_namespace", "name", "namespace of the client's pod"),
    Column("client_node", "name", "node that the client is on"),
    Column("is_hairpin", "bool", "the backend is the client"),
    Column("start_time", "time", "first packet, where its path begins"),
    Column("end_time", "time", "last packet"),
    Column("client_packets", "u64", "from the client, where most payload was seen"),
    Column("backend_packets", "u64", "towards the client, there"),
    Column("client_bytes", "u64", "innermost IP octets from the client, there"),
    Column("backend_bytes", "u64", "innermost IP octets towards the client, there"),
    Column("client_payload_bytes", "u64", "octets above the transport header, there"),
    Column("backend_payload_bytes", "u64", "the same, towards the client"),
    Column("requests", "u64", "times that the client spoke (again) with payload"),
    Column("tcp_state", "name", "Zeek's conn_state: S0 S1 SF REJ S2 S3 RSTO RSTR ..."),
    Column("handshake_rtt", "duration", "SYN to the ACK that ends the handshake"),
    Column("retransmits", "u64", "segments whose octets passed before, both ways"),
    Column(
        "service_evidence",
        "name",
        "how the service is known: observed, conntrack, unique, ambiguous, none",
    ),
    Column(
        "backend_evidence",
        "name",
        "how the backend is known: observed, conntrack, eliminated, unique, ambiguous,"
        " none",
    ),
    Column(
        "candidates",
        "names",
        "what fits an ambiguous service (namespace/name), else backend (address:port)",
    ),
    Column("flow_ids", "ids", "rows of the flows table, in the order of the path"),
    Column("points", "names", "observation points in the order of the client's path"),
)

HOPS: tuple[Column, ...] = (
    Column("connection_id", "u64", "row of the connections table"),
    Column("direction", "name", "to_backend or to_client"),
    Column("hop", "u32", "number of the hop in its direction, from 0"),
    Column("from_point", "name", "observation point that packets pass first"),
    Column("to_point", "name", "observation point that they pass next"),
    Column("segments", "u64", "sampled packets that both saw"),
    Column("latency_p50", "duration", "median time between the points"),
    Column("latency_p99", "duration", "99th percentile of it"),
    Column("clock_bound", "duration", "how far latencies may be off, by the clocks"),
    Column("lost_segments", "u64", "seen before and not behind, by payload or packets"),
    Column("capture_loss", "bool", "more was seen behind than before"),
)

CLOCKS: tuple[Column, ...] = (
    Column("host", "name", "capture host: what stands before the slash of its points"),
    Column("reference", "name", "host that it is compared with"),
    Column("offset", "duration", "its clock minus the reference's, at `time`"),
    Column("drift_ppm", "f64", "how much faster it runs, in millionths"),
    Column(
        "bound", "duration", "how far the offset may be off; null: no packet shared"
    ),
    Column("time", "time", "when the offset holds, by the host's clock"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "flows": FLOWS,
    "packets": PACKETS,
    "connections": CONNECTIONS,
    "hops": HOPS,
    "clocks": CLOCKS,
}

# Codes that the compiled stages write, and the names they stand for.
TUNNELS = ("vxlan", "geneve", "gre", "ipip")
STOP_REASONS = ("truncated", "malformed", "unsupported")
TCP_STATES = (
    "OTH",
    "S0",
    "S1",
    "SF",
    "REJ",
    "S2",
    "S3",
    "RSTO",
    "RSTR",
    "RSTOS0",
    "RSTRH",
    "SH",
    "SHR",
)
PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6", 132: "sctp"}


@cache
def arrow_type(column: Column) -> pa.DataType:
    """Give the Arrow type of a column."""
    import pyarrow as pa

    time = pa.timestamp("ns", "UTC")
    types = {
        "u8": pa.uint8(),
        "u16": pa.uint16(),
        "u32": pa.uint32(),
        "u64": pa.uint64(),
        "i64": pa.int64(),
        "f64": pa.float64(),
        "bool": pa.bool_(),
        "time": time,
        "duration": pa.duration("ns"),
        "text": pa.utf8(),
        "address": pa.dictionary(pa.int32(), pa.utf8()),
        "name": pa.dictionary(pa.int32(), pa.utf8()),
        "ids": pa.list_(pa.uint64()),
        "times": pa.list_(time),
        "names": pa.list_(pa.utf8()),
    }
    return types[column.kind]


@cache
def arrow_schema(table: str) -> pa.Schema:
    """Give the Arrow schema of a table, each field with its meaning as metadata."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(
                column.name, arrow_type(column), metadata={"meaning": column.meaning}
            )
            for column in TABLES[table]
        ]
    )
