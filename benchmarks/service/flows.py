"""The flow table that captures at every point would give, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from analyzer.tables.schema import FLOWS, arrow_schema
from benchmarks.service import load as service
from benchmarks.service import timeline as way
from benchmarks.service.packet_ids import packet_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from benchmarks.service.load import Calls, Load

    Array = NDArray[Any]

CHUNK = 100_000  # connections whose packets are in memory at a time
MICROSECOND = 1_000

# Of IPv4 packets with TCP timestamps.
SYN_LENGTH, SEGMENT_LENGTH = 60, 52
REQUEST_PACKETS, REPLY_PACKETS = 6, 4
ETHERNET, TUNNEL = 14, 50
REQUEST_BYTES = SYN_LENGTH + 5 * SEGMENT_LENGTH + way.REQUEST
REPLY_BYTES = SYN_LENGTH + 3 * SEGMENT_LENGTH + way.RESPONSE
FLAGS = 0x1B  # ACK PSH SYN FIN
VNI = 4096
SYN_OPTIONS = {  # of Linux: MSS, SACK permitted, timestamps, window scale
    "window": (np.uint16, 64240, 64308),
    "mss": (np.uint16, 1460, 1410),
    "window_scale": (np.uint8, 10, 10),
    "options": (np.uint32, 0x031842, 0x031842),
}
IP_HEADER = 20
SAMPLE_SIZE = 4  # packet ids that a flow keeps of each direction
TTL = {  # of requests and replies
    way.NIC_BEFORE: (64, 62),
    way.ENTRY_VXLAN: (63, 63),
    way.ENTRY_NIC: (63, 63),
    way.NODE_NIC: (63, 63),
    way.NODE_VXLAN: (63, 63),
    way.POD: (62, 64),
}


@dataclass(frozen=True)
class Busy:
    """A Service's flows and the truth about them.

    Parameters
    ----------
    flows : pl.DataFrame
        As ``analyzer.build_tables`` would give them, of captures at every node's NIC
        and VXLAN device and every pod's device. Community IDs are not computed.
    truth : pl.DataFrame
        One row per flow: ``flow_id`` and ``connection``.
    connections : pl.DataFrame
        One row per connection: ``connection``, ``client_ip``, ``client_port``,
        ``backend_ip``, ``snat_ip``, ``snat_port``.
    load : Load
        What it was made from, with the cluster and the nodes' clocks.
    """

    flows: pl.DataFrame
    truth: pl.DataFrame
    connections: pl.DataFrame
    load: Load

    def at_nics(self) -> Busy:
        """Give what captures at the nodes' NICs alone show.

        A connection to a pod of the entry node is there before translation only: that
        it has several such pods leaves the backend open.
        """
        is_shown = pl.col("point").cast(pl.String).str.ends_with("/ens18")
        flows = self.flows.filter(is_shown)
        is_local = pl.col("snat_ip") == self.load.node_address(service.ENTRY)
        hidden = "backend_ip", "snat_ip", "snat_port"
        return Busy(
            flows,
            self.truth.join(flows.select("flow_id"), on="flow_id"),
            self.connections.with_columns(
                pl.when(~is_local).then(pl.col(name)) for name in hidden
            ),
            self.load,
        )


def busy_service(load: Load) -> Busy:
    """Make the flows of a busy Service."""
    texts = Texts(load)
    calls = service.calls(load)
    batches: dict[str, list[pa.RecordBatch]] = {name: [] for name in texts.captures}
    owners: dict[str, list[Array]] = {name: [] for name in texts.captures}
    random = np.random.default_rng(load.seed + 2)
    for first in range(0, load.connections, CHUNK):
        part = calls.part(slice(first, first + CHUNK))
        is_local = load.backend_node[part.backend] == service.ENTRY
        passed = way.timeline(part.start, is_local, random)
        for name, which, batch in captured(load, texts, part, passed, is_local):
            batches[name].append(batch)
            owners[name].append(first + which)
    table = pa.Table.from_batches(
        [batch for name in batches for batch in batches[name]], arrow_schema("flows")
    )
    order = np.concatenate([owner for name in owners for owner in owners[name]])
    numbers = np.arange(table.num_rows, dtype=np.uint64)
    table = table.set_column(0, table.schema.field(0), pa.array(numbers))
    flows = pl.from_arrow(table)
    assert isinstance(flows, pl.DataFrame)
    truth = pl.DataFrame({"flow_id": numbers, "connection": order.astype(np.uint32)})
    return Busy(flows, truth, connections_of(load, calls), load)


def connections_of(load: Load, calls: Calls) -> pl.DataFrame:
    """Say what each connection's row must say."""
    clients = pl.Series([load.client_address(n) for n in range(load.clients)])
    pods = pl.Series([load.pod_address(n) for n in range(load.backends)])
    is_local = load.backend_node[calls.backend] == service.ENTRY
    snat = pl.Series([load.tunnel_address(0), load.node_address(0)])
    return pl.DataFrame(
        {
            "connection": np.arange(load.connections, dtype=np.uint32),
            "client_ip": clients.gather(calls.client),
            "client_port": calls.port,
            "backend_ip": pods.gather(calls.backend),
            "snat_ip": snat.gather(is_local.astype(np.uint32)),
            "snat_port": calls.masquerade,
        }
    )


class Texts:
    """Dictionaries of the flow table's names and addresses, and where each begins."""

    def __init__(self, load: Load) -> None:
        nodes = load.node_names
        devices = ["ens18", "vxlan.calico"]
        pods = [(nodes[n], f"cali{i:011x}") for i, n in enumerate(load.backend_node)]
        places = [*((node, device) for node in nodes for device in devices), *pods]
        self.captures = [f"{node}.{device}.pcap" for node, device in places]
        self.points = pa.array([f"{node}/{device}" for node, device in places])
        self.capture_names = pa.array(self.captures)
        self.first_pod = len(nodes) * len(devices)
        self.tunnel = load.nodes
        self.pod = 2 * load.nodes
        self.client = self.pod + load.backends
        self.virtual = self.client + load.clients
        self.addresses = pa.array(
            [
                *(load.node_address(n) for n in range(load.nodes)),
                *(load.tunnel_address(n) for n in range(load.nodes)),
                *(load.pod_address(n) for n in range(load.backends)),
                *(load.client_address(n) for n in range(load.clients)),
                service.VIRTUAL_IP,
            ]
        )

    def place(self, point: int, load: Load, backend: Array) -> Array:
        """Give the number of the capture that a point of a connection is in."""
        node = load.backend_node[backend]
        if point in (way.NIC_BEFORE, way.ENTRY_NIC):
            return np.full(backend.size, 2 * service.ENTRY)
        if point == way.ENTRY_VXLAN:
            return np.full(backend.size, 2 * service.ENTRY + 1)
        if point == way.POD:
            return self.first_pod + backend
        numbers: Array = 2 * node + (point == way.NODE_VXLAN)
        return numbers


def captured(
    load: Load, texts: Texts, calls: Calls, passed: Array, is_local: Array
) -> Iterator[tuple[str, Array, pa.RecordBatch]]:
    """Give each capture's flows in order of time, and whose they are."""
    for point in range(way.POINTS):
        is_seen = (
            np.ones_like(is_local) if point in (way.NIC_BEFORE, way.POD) else ~is_local
        )
        place = texts.place(point, load, calls.backend)
        for number in np.unique(place[is_seen]):
            which = np.flatnonzero(is_seen & (place == number))
            columns = flow_columns(
                load, texts, calls.part(which), passed[:, point, which], point
            )
            columns |= {
                "capture": names(np.full(which.size, number), texts.capture_names),
                "point": names(np.full(which.size, number), texts.points),
            }
            yield texts.captures[number], which, batch_of(columns, which.size)


def flow_columns(
    load: Load, texts: Texts, calls: Calls, times: Array, point: int
) -> dict[str, pa.Array]:
    """Make the columns of flows at one point; what is left out is null."""
    count = calls.start.size
    node = load.backend_node[calls.backend]
    is_after = point in (way.NODE_NIC, way.NODE_VXLAN, way.POD)
    host = node if is_after else np.full(count, service.ENTRY)
    shown = as_captured(load, times, host)
    is_encapsulated = point in (way.ENTRY_NIC, way.NODE_NIC)
    wire = REQUEST_BYTES + REPLY_BYTES
    wire += (REQUEST_PACKETS + REPLY_PACKETS) * (ETHERNET + TUNNEL * is_encapsulated)
    columns = ends(texts, calls, node, point)
    columns |= {
        "protocol": names(np.zeros(count), pa.array(["tcp"])),
        "tcp_state": names(np.zeros(count), pa.array(["SF"])),
        "start_time": time_array(shown.min(axis=0)),
        "end_time": time_array(shown.max(axis=0)),
        "handshake_rtt": pa.array(shown[2] - shown[0]).cast(pa.duration("ns")),
        "wire_bytes": same(np.uint64, wire, count),
        "requests": same(np.uint64, 1, count),
        "first_frame": pa.array(np.arange(count, dtype=np.uint64) * 10 + 1),
    }
    columns |= {
        name: same(np.uint64, 0, count)
        for name in ("fragments", "icmp_errors", "copies")
    }
    if is_encapsulated:
        columns |= {
            "tunnel": names(np.zeros(count), pa.array(["vxlan"])),
            "vni": same(np.uint32, VNI, count),
            "outer_originator_ip": names(np.zeros(count), texts.addresses),
            "outer_responder_ip": names(node, texts.addresses),
        }
    columns |= direction_columns("originator", calls, shown, point)
    columns |= direction_columns("responder", calls, shown, point)
    pair = {
        "originator": tick(calls.client, calls.start),
        "responder": tick(calls.backend + np.uint32(1 << 20), calls.start),
    }
    columns |= {f"{end}_syn_tsval": pa.array(pair[end]) for end in pair}
    return columns


def as_captured(load: Load, times: Array, host: Array) -> Array:
    """Give what a host's clock shows at a time, in whole microseconds as in pcap."""
    offset, drift = load.clocks
    elapsed = times - service.BEGIN
    wrong = times + offset[host] + (elapsed * drift[host]).astype(np.int64)
    shown: Array = wrong // MICROSECOND * MICROSECOND
    return shown


def ends(texts: Texts, calls: Calls, node: Array, point: int) -> dict[str, pa.Array]:
    """Give both ends as a point shows them."""
    count = calls.start.size
    if point == way.NIC_BEFORE:
        source, port = texts.client + calls.client, calls.port
        destination = np.full(count, texts.virtual)
        target = service.PORT
    else:  # masqueraded: for a pod of its own the entry node takes its own address
        is_local = node == service.ENTRY
        source = np.where(is_local, 0, texts.tunnel) + service.ENTRY
        port = calls.masquerade
        destination = texts.pod + calls.backend
        target = service.TARGET_PORT
    return {
        "originator_ip": names(source, texts.addresses),
        "originator_port": pa.array(port),
        "responder_ip": names(destination, texts.addresses),
        "responder_port": same(np.uint16, target, count),
    }


def direction_columns(
    end: str, calls: Calls, shown: Array, point: int
) -> dict[str, pa.Array]:
    """Make the columns of one direction."""
    is_reply = end == "responder"
    count = calls.start.size
    isn = calls.reply_isn if is_reply else calls.isn
    payload = way.RESPONSE if is_reply else way.REQUEST
    past_end = isn + np.uint32(payload + 2)  # SYN and FIN count for one octet each
    ids, first_times = samples(calls, shown, is_reply=is_reply)
    columns = {
        "packets": same(
            np.uint64, REPLY_PACKETS if is_reply else REQUEST_PACKETS, count
        ),
        "bytes": same(np.uint64, REPLY_BYTES if is_reply else REQUEST_BYTES, count),
        "payload_bytes": same(np.uint64, payload, count),
        "tcp_flags": same(np.uint8, FLAGS, count),
        "isn": pa.array(isn),
        "retransmits": same(np.uint64, 0, count),
        "ttl": same(np.uint8, TTL[point][is_reply], count),
        "seq_start": pa.array(isn),
        "seq_end": pa.array(past_end),
        "packet_ids": lists(pa.array(ids.ravel()), ids.shape[1]),
        "packet_times": lists(time_array(first_times.ravel()), ids.shape[1]),
    }
    columns |= {
        f"syn_{name}": same(dtype, values[is_reply], count)
        for name, (dtype, *values) in SYN_OPTIONS.items()
    }
    return {f"{end}_{name}": column for name, column in columns.items()}


def samples(calls: Calls, shown: Array, *, is_reply: bool) -> tuple[Array, Array]:
    """Give the smallest packet ids of one direction, ascending, and their times."""
    each = segment_ids(calls.isn, calls.reply_isn, is_reply=is_reply)
    ids = np.stack(list(each.values()), axis=1)
    order = np.argsort(ids, axis=1)[:, :SAMPLE_SIZE]
    times = np.take_along_axis(shown[list(each)].T, order, axis=1)
    return np.take_along_axis(ids, order, axis=1), times


def segment_ids(isn: Array, reply_isn: Array, *, is_reply: bool) -> dict[int, Array]:
    """Give the ids of one direction's packets, by their number in timeline.PACKETS."""
    one = np.uint32(1)
    seq, ack = isn + one, reply_isn + one
    seq_after, ack_after = seq + np.uint32(way.REQUEST), ack + np.uint32(way.RESPONSE)
    syn, empty = SYN_LENGTH - IP_HEADER, SEGMENT_LENGTH - IP_HEADER
    if is_reply:
        return {
            1: packet_id(reply_isn, seq, syn),
            4: packet_id(ack, seq_after, empty),
            5: packet_id(ack, seq_after, empty + way.RESPONSE),
            8: packet_id(ack_after, seq_after + one, empty, is_fin=True),
        }
    return {
        0: packet_id(isn, np.zeros_like(isn), syn),
        2: packet_id(seq, ack, empty),
        3: packet_id(seq, ack, empty + way.REQUEST),
        6: packet_id(seq_after, ack_after, empty),
        7: packet_id(seq_after, ack_after, empty, is_fin=True),
        9: packet_id(seq_after + one, ack_after + one, empty),
    }


def tick(host: Array, time: Array) -> Array:
    """Give TCP timestamps: milliseconds, from another beginning for every host."""
    begin = host.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)
    ticks: Array = (begin + (time // 1_000_000).astype(np.uint64)).astype(np.uint32)
    return ticks


def names(indices: Array, dictionary: pa.Array) -> pa.DictionaryArray:
    """Make a column of names of their numbers."""
    numbers = pa.array(np.asarray(indices).astype(np.int32))
    return pa.DictionaryArray.from_arrays(numbers, dictionary)


def same(dtype: type[np.generic], value: int, count: int) -> pa.Array:
    """Make a column of one value."""
    return pa.array(np.full(count, value, dtype))


def time_array(times: Array) -> pa.Array:
    """Make a column of times."""
    return pa.array(times).cast(pa.timestamp("ns", "UTC"))


def lists(values: pa.Array, length: int) -> pa.ListArray:
    """Make a column of lists of one length."""
    offsets = np.arange(0, len(values) + 1, length, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def batch_of(columns: dict[str, pa.Array], count: int) -> pa.RecordBatch:
    """Put columns into the schema's order, and nulls where there is none."""
    schema = arrow_schema("flows")
    columns["flow_id"] = same(np.uint64, 0, count)
    return pa.RecordBatch.from_arrays(
        [
            columns.get(column.name, pa.nulls(count, schema.field(column.name).type))
            for column in FLOWS
        ],
        schema=schema,
    )
