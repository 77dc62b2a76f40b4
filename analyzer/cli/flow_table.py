"""Show flows to people: who spoke with whom, through what, and how it went."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli import format as say
from analyzer.cli.output import width
from analyzer.cli.table import Column, as_given, number

if TYPE_CHECKING:
    from analyzer.cli.names import Names
    from analyzer.cli.output import Output
    from analyzer.cli.table import Forms
    from analyzer.cli.top import TopFlows

#: Zeek's conn_state in words, long and short.
STATES: dict[str, tuple[str, str]] = {
    "OTH": ("midstream", "midstream"),
    "S0": ("no answer", "no answer"),
    "S1": ("open", "open"),
    "SF": ("closed", "closed"),
    "REJ": ("refused", "refused"),
    "S2": ("half closed", "closing"),
    "S3": ("half closed", "closing"),
    "RSTO": ("reset by originator", "reset"),
    "RSTR": ("reset by responder", "reset"),
    "RSTOS0": ("given up", "given up"),
    "RSTRH": ("reset, SYN not seen", "reset"),
    "SH": ("FIN, no SYN-ACK seen", "one-sided"),
    "SHR": ("FIN, SYN not seen", "one-sided"),
}
#: States that somebody should look at.
_TROUBLES = ("S0", "REJ", "RSTO", "RSTR", "RSTOS0", "RSTRH")
_ICMP_TYPES = {
    ("icmp", 0): "echo reply",
    ("icmp", 3): "unreachable",
    ("icmp", 5): "redirect",
    ("icmp", 8): "echo",
    ("icmp", 11): "time exceeded",
    ("icmp6", 1): "unreachable",
    ("icmp6", 2): "packet too big",
    ("icmp6", 3): "time exceeded",
    ("icmp6", 128): "echo",
    ("icmp6", 129): "echo reply",
    ("icmp6", 133): "router solicitation",
    ("icmp6", 134): "router advertisement",
    ("icmp6", 135): "neighbour solicitation",
    ("icmp6", 136): "neighbour advertisement",
}
#: What gives way on narrow terminals, in this order.
_NARROWING = (
    "state",
    "responder",  # one name beside the address, not two
    "originator",
    "tunnel",  # without its ends
    "rtt",
    "lasted",
    "seen_at",  # how many points, not which
    "originator",  # the name in place of the address
    "responder",
    "tunnel",  # without its VNI
    "pkts",
    "seen_at",
)


def print_counts(top: TopFlows) -> None:
    """Print how many flows there are of each protocol, and how many went wrong."""
    protocols = [f"{flows:,} {name}" for name, flows in top.protocols.items()]
    troubles: Counter[str] = Counter()
    for state in _TROUBLES:
        troubles[STATES[state][1]] += top.tcp_states.get(state, 0)
    troubles["with retransmits"] = top.with_retransmits
    troubles["with ICMP errors"] = top.with_icmp_errors
    line = say.plural(top.flows, "flow")
    if top.points > 1:
        line += f" at {top.points:,} points"
    if protocols:
        line += f": {', '.join(protocols)}"
    if any(troubles.values()):
        found = [f"{flows:,} {what}" for what, flows in troubles.items() if flows]
        line += f"; {', '.join(found)}"
    click.echo(textwrap.fill(line, width(), subsequent_indent="  "))


def print_flows(top: TopFlows, names: Names, output: Output) -> None:
    """Print the largest flows as a table, without columns that would be empty."""
    flows = top.rows
    table: dict[Column, list[Any]] = {
        Column("proto", is_essential=True): [flow["protocol"] for flow in flows],
        _end_column("originator"): [_end(flow, "originator", names) for flow in flows],
        _end_column("responder"): [_end(flow, "responder", names) for flow in flows],
    }
    if any(flow["tunnel"] for flow in flows):
        one_vni = len({flow["vni"] for flow in flows if flow["tunnel"]}) == 1
        table[Column("tunnel", as_given)] = [
            _tunnel(flow, names, with_vni=not one_vni) for flow in flows
        ]
    if top.points > 1:
        table[Column("seen_at", as_given)] = [_points(flow) for flow in flows]
    table |= {
        number("pkts", say.count): [_both(flow, "packets") for flow in flows],
        number("bytes", say.size): [flow["wire_bytes"] for flow in flows],
        number("lasted", say.duration): [
            flow["end_time"] - flow["start_time"] for flow in flows
        ],
        Column("state", as_given): [_state(flow) for flow in flows],
    }
    if any(flow["handshake_rtt"] is not None for flow in flows):
        table[number("rtt", say.duration)] = [flow["handshake_rtt"] for flow in flows]
    if any(_both(flow, "retransmits") for flow in flows):
        table[number("retr", say.count)] = [
            _both(flow, "retransmits") or None for flow in flows
        ]
    shown = f"Top {len(flows)}" if len(flows) < top.flows else "Flows"
    output.rows(
        f"{shown} by bytes on the wire",
        list(table),
        list(zip(*table.values(), strict=True)),
        narrowing=_NARROWING,
    )


def _end_column(name: str) -> Column:
    return Column(name, as_given, is_essential=True)


def _end(flow: dict[str, Any], side: str, names: Names) -> Forms:
    """``10.1.79.75:80 nginx-ds-6nw9w``, or in short ``nginx-ds-6nw9w:80``."""
    ip, port = flow[f"{side}_ip"], flow[f"{side}_port"]
    address = say.endpoint(ip, port)
    service = _in_short(names.service(ip, port, flow["protocol"]))
    owner = _in_short(names.of(ip))
    name = service or owner
    if name is None:
        return address
    in_full = f"{address} {name}"
    in_short = name if port is None else f"{name}:{port}"
    if service and owner and service != owner:
        return f"{address} {owner} {service}", in_full, in_short
    return in_full, in_full, in_short


def _in_short(name: str | None) -> str | None:
    """Leave out the namespace ``default``, as kubectl does."""
    return name and name.removeprefix("default/")


def _tunnel(flow: dict[str, Any], names: Names, *, with_vni: bool) -> Forms:
    kind = flow["tunnel"]
    if kind is None:
        return "-"
    ends = [flow["outer_originator_ip"], flow["outer_responder_ip"]]
    between = " → ".join(_in_short(names.node(ip)) or ip for ip in ends if ip)
    if with_vni and flow["vni"] is not None:
        kind = f"{kind} {flow['vni']}"
    return f"{kind} {between}", kind, flow["tunnel"]


def _points(flow: dict[str, Any]) -> Forms:
    first, *others = flow["points"]
    if not others:
        return first, "1 point"
    return f"{first} +{len(others)}", f"{len(others) + 1} points"


def _state(flow: dict[str, Any]) -> Forms:
    if flow["tcp_state"] is not None:
        return STATES[flow["tcp_state"]]
    if flow["icmp_type"] is not None:
        icmp = flow["protocol"], flow["icmp_type"]
        name = _ICMP_TYPES.get(icmp, f"type {flow['icmp_type']}")
        is_unanswered = name == "echo" and not flow["responder_packets"]
        return "echo, no reply" if is_unanswered else name
    return "two-way" if flow["responder_packets"] else "one-way"


def _both(flow: dict[str, Any], counter: str) -> int:
    total: int = flow[f"originator_{counter}"] + flow[f"responder_{counter}"]
    return total
