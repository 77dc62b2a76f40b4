"""What kube-proxy writes in nftables mode.

The samples are ``nft list ruleset`` and ``nft -j list ruleset`` of nftables 1.0.6 about
one ruleset, which was written by hand as kube-proxy 1.31 does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.cluster import Cluster, nft_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.cluster import ProxyRule

    Load = Callable[..., Cluster]

SAMPLES = Path(__file__).parent / "samples"
TEXT = (SAMPLES / "nft.txt").read_text()
JSON = (SAMPLES / "nft.json").read_text()
RECORDED = Path(__file__).parents[2] / "captures" / "cluster" / "dualstack" / "cluster"


@pytest.fixture(params=[TEXT, JSON], ids=["text", "JSON"])
def cluster(request: pytest.FixtureRequest, load: Load) -> Cluster:
    return load(**{"node-a.nft.txt": request.param})


def rules(cluster: Cluster, port: int) -> dict[str, ProxyRule]:
    return {rule.scope: rule for rule in cluster.rules if rule.port == port}


def test_text_and_json_of_real_nodes_say_the_same() -> None:
    text = Cluster.load(sorted(RECORDED.glob("*.nft-list-ruleset.txt")))
    as_json = Cluster.load(sorted(RECORDED.glob("*.nft-list-ruleset.json")))
    assert len(text.rules) == 180
    assert text == as_json
    both = Cluster.load(sorted(RECORDED.glob("*.nft-list-ruleset.*")))
    assert both == text


def test_addresses_names_and_backends(cluster: Cluster) -> None:
    table = cluster.rule_table().select(
        "node",
        "address",
        "port",
        "protocol",
        "kind",
        "service_name",
        "service_port_name",
        "scope",
        "backend_ip",
        "backend_port",
        "probability",
    )
    local, names = ("local", "http"), ("names", "dns")
    v6 = ("fd00:1::5", 5353)
    assert [row[1:] for row in table.rows()] == [
        ("10.96.0.42", 80, "tcp", "ClusterIP", *local, "cluster", "10.244.1.2", 80, 1),
        *(
            ("10.96.0.45", 80, "tcp", "ClusterIP", "sticky", None, "cluster", *to, 0.5)
            for to in (("10.244.1.3", 80), ("10.244.2.4", 8080))
        ),
        (
            *("10.96.0.46", 80, "tcp", "ClusterIP", "empty", None),
            *("cluster", None, None, None),
        ),
        *(
            (address, port, "tcp", kind, *local, *end)
            for address, port, kind in (
                ("198.51.100.4", 80, "LoadBalancer"),
                (None, 3001, "NodePort"),
            )
            for end in (
                ("cluster", "10.244.1.2", 80, 1),
                ("local", None, None, None),
            )
        ),
        ("fd00:96::45", 53, "udp", "ClusterIP", *names, "local", *v6, 1),
        (None, 30053, "udp", "NodePort", *names, "cluster", *v6, 0.5),
        (None, 30053, "udp", "NodePort", *names, "cluster", "fd00:2::6", 5353, 0.5),
        (None, 30053, "udp", "NodePort", *names, "local", *v6, 1),
    ]
    assert set(table["node"]) == {"node-a"}


def test_affinity(cluster: Cluster) -> None:
    assert [rule.service for rule in cluster.rules if rule.affinity] == ["sticky"]
    (sticky,) = (item for item in cluster.services if item.name == "sticky")
    assert sticky.session_affinity == "ClientIP"


def test_services_and_endpoints_without_kubectl(cluster: Cluster) -> None:
    ((service, kind),) = cluster.services_at("198.51.100.4", 80, "tcp")
    assert (service.namespace, service.name, kind) == ("shop", "local", "LoadBalancer")
    assert service.external_traffic_policy == "Local"
    assert [item.address for item in cluster.endpoints_of(service) or ()] == [
        "10.244.1.2"
    ]
    ((service, kind),) = cluster.services_at("192.0.2.2", 3001, "tcp")
    assert (service.name, kind) == ("local", "NodePort")
    ((service, _),) = cluster.services_at("10.96.0.46", 80, "tcp")
    assert cluster.endpoints_of(service) == ()
    ((service, _),) = cluster.services_at("fd00:96::45", 53, "udp")
    assert service.internal_traffic_policy == "Local"
    endpoints = cluster.endpoints_of(service) or ()
    assert {item.address: item.node for item in endpoints} == {
        "fd00:1::5": "node-a",
        "fd00:2::6": None,
    }


def test_the_node_tells_its_addresses(cluster: Cluster) -> None:
    assert [(node.name, node.internal_ips) for node in cluster.nodes] == [
        ("node-a", ("192.0.2.2",))
    ]


def test_the_node_is_told_by_its_addresses(load: Load) -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node-b"},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.2"}]},
    }
    cluster = load(node, TEXT)
    assert {rule.node for rule in cluster.rules} == {"node-b"}


def test_pasted_text_may_have_lost_its_indentation(load: Load) -> None:
    lines = [line.strip() for line in TEXT.splitlines()]
    pasted = load("root@node-a:~# nft list ruleset\n" + "\n".join(lines))
    assert len(pasted.sources) == 1
    assert pasted.rules == load(**{"node-a.nft.txt": TEXT}).rules


def test_handles_may_be_shown(load: Load) -> None:
    lines = [
        f"{line} # handle {number}" if not line.endswith(("}", ",")) else line
        for number, line in enumerate(TEXT.splitlines())
    ]
    assert load("\n".join(lines)).rules == load(TEXT).rules


def test_only_the_proxys_table(load: Load) -> None:
    start = TEXT.index("table ip kube-proxy")
    alone = "# Warning: table ip nat is managed by iptables-nft, do not touch!\n"
    cluster = load(f"{alone}{TEXT[start:]}")
    assert len(cluster.rules) == 10
    assert [source.remarks for source in cluster.sources] == [()]
    cluster = load(TEXT[:start])
    assert cluster.rules == ()


def test_a_chain_that_is_missing_is_not_an_empty_one(load: Load) -> None:
    text = TEXT.replace("chain local-AAAAAAA5", "chain other-AAAAAAA5")
    cluster = load(text)
    assert rules(cluster, 53)["local"].backends is None
    assert rules(cluster, 30053)["local"].backends is None
    assert len(rules(cluster, 30053)["cluster"].backends or ()) == 2


def test_numbers_may_be_drawn_unequally(load: Load) -> None:
    text = TEXT.replace("0 : goto endpoint-BBBBBBB3", "0-2 : goto endpoint-BBBBBBB3")
    text = text.replace("1 : goto endpoint-BBBBBBB4", "3 : goto endpoint-BBBBBBB4")
    (rule,) = (rule for rule in load(text).rules if rule.service == "sticky")
    assert [item.probability for item in rule.backends or ()] == [0.75, 0.25]
    draw = '{"goto": {"target": "endpoint-BBBBBBB3'
    document = JSON.replace(f"[[0, {draw}", f'[[{{"range": [0, 2]}}, {draw}')
    assert document != JSON
    (rule,) = (rule for rule in load(document).rules if rule.service == "sticky")
    assert [item.probability for item in rule.backends or ()] == [0.75, 0.25]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("10.96.0.46", "10.96.0.460", "'10.96.0.460' is not an IP address"),
        (". 3001", ". http", "'http' is not a port number"),
        ("tcp . 3001", "icmp . 3001", "'icmp' is not TCP, UDP or SCTP"),
        ("to 10.244.1.2:80", "to 10.244.1:80", "'10.244.1' is not an IP address"),
    ],
)
def test_what_is_not_understood_is_reported(
    load: Load, old: str, new: str, reason: str
) -> None:
    (source,) = load(TEXT.replace(old, new)).sources
    assert {remark.reason for remark in source.remarks} == {reason}


@pytest.mark.parametrize("junk", [None, 1, "x", [], {}, [[]], [1, 2], {"x": None}])
def test_junk_in_json_is_passed_over(junk: object) -> None:
    """Put something else in the place of each value, one after the other."""
    document = json.loads(JSON)
    for parent, key in places_in(document):
        before, parent[key] = parent[key], junk
        nft_json.read(document, 1, "file", None)
        parent[key] = before


def places_in(value: object) -> list[tuple[dict[object, object], object]]:
    """List the places in a document that hold a value, by what they are in."""
    places: list[tuple[dict[object, object], object]] = []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        if key == "handle" or key == "metainfo":
            continue
        places.append((value, key))  # type: ignore[arg-type]
        places += places_in(item)
    return places
