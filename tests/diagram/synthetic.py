"""A cluster that is larger than any we record: its tables, made of random calls."""

from __future__ import annotations

import random
from functools import cache

import polars as pl

from analyzer.tables import Tables
from analyzer.tables.convert import to_arrow
from analyzer.tables.schema import arrow_schema

START = 1_795_450_254_000_000_000


@cache
def large_cluster(
    nodes: int = 50, services: int = 20, connections: int = 20_000
) -> Tables:
    """Make tables of a cluster: each service has three pods, nodes take calls."""
    chance = random.Random(7)
    pods = {
        service: [
            (f"10.1.{node}.{service + 10}", node)
            for node in chance.sample(range(nodes), 3)
        ]
        for service in range(services)
    }
    rows, flows, hops = [], [], []
    for number in range(connections):
        service = min(int(chance.expovariate(0.25)), services - 1)
        entry = min(int(chance.expovariate(0.08)), nodes - 1)
        address, node = chance.choice(pods[service])
        client = f"203.0.113.{min(int(chance.expovariate(0.05)), 200)}"
        name = f"service-number-{service:02}"
        begin = START + number * 1_000_000
        rows.append(
            {
                "connection_id": number,
                "protocol": "tcp",
                "client_ip": client,
                "client_port": 1024 + number % 60000,
                "destination_ip": f"198.51.100.{service}",
                "destination_port": 80,
                "destination_kind": "LoadBalancer",
                "service_namespace": "default",
                "service_name": name,
                "entry_node": f"node-{entry:02}",
                "snat_ip": f"10.1.{entry}.0",
                "snat_port": 20000 + number % 40000,
                "backend_ip": address,
                "backend_port": 8080,
                "backend_pod": f"{name}-5c9d7b8f6d-{address.replace('.', 'x')}",
                "backend_namespace": "default",
                "backend_workload": f"Deployment/{name}",
                "backend_node": f"node-{node:02}",
                "is_hairpin": False,
                "start_time": begin,
                "end_time": begin + 5_000_000,
                "client_packets": 6,
                "backend_packets": 5,
                "client_bytes": 400,
                "backend_bytes": 4000 + 10 * service,
                "client_payload_bytes": 80,
                "backend_payload_bytes": 3700,
                "requests": 1,
                "tcp_state": "SF",
                "retransmits": 0,
                "service_evidence": "observed",
                "backend_evidence": "observed",
                "flow_ids": [2 * number, 2 * number + 1],
                "points": [f"node-{entry:02}/eth0", f"node-{node:02}/eth0"],
            }
        )
        ends = {
            "protocol": "tcp",
            "originator_port": 20000 + number % 40000,
            "responder_port": 8080,
            "start_time": begin,
            "end_time": begin + 5_000_000,
        }
        tunnel = {
            "originator_ip": f"10.1.{entry}.0",
            "responder_ip": address,
            "tunnel": "vxlan",
            "vni": 4096,
            "outer_originator_ip": f"192.168.2.{entry}",
            "outer_responder_ip": f"192.168.2.{node}",
        }
        outside = {
            "originator_ip": client,
            "responder_ip": f"198.51.100.{service}",
        }
        for flow, (point, what) in enumerate(
            [(entry, outside), (node, tunnel if entry != node else outside)]
        ):
            flows.append(
                {
                    **ends,
                    **what,
                    "flow_id": 2 * number + flow,
                    "point": f"node-{point:02}/eth0",
                }
            )
        if entry != node:
            hops.append(
                {
                    "connection_id": number,
                    "direction": "to_backend",
                    "hop": 0,
                    "from_point": f"node-{entry:02}/eth0",
                    "to_point": f"node-{node:02}/eth0",
                    "segments": 4,
                    "latency_p50": chance.randrange(50_000, 90_000),
                    "latency_p99": 100_000,
                    "clock_bound": 5_000,
                    "lost_segments": int(chance.random() < 0.01),
                    "capture_loss": False,
                }
            )
    return Tables(
        {
            "connections": table("connections", rows),
            "flows": table("flows", flows),
            "hops": table("hops", hops),
            "clocks": table("clocks", []),
        },
        [],
    )


def table(name: str, rows: list[dict]):
    """Give rows the columns and types of a table; what they lack is null."""
    empty = pl.from_arrow(arrow_schema(name).empty_table())
    columns = {
        column: pl.Series(column, [row.get(column) for row in rows], strict=False)
        for column in empty.columns
    }
    frame = pl.DataFrame(columns)
    casts = {
        column: pl.String if dtype == pl.Categorical else dtype
        for column, dtype in empty.schema.items()
    }
    return to_arrow(frame.cast(casts), name)
