"""The nftables ruleset makes the same decisions as the iptables rules."""

import re
from dataclasses import replace

import pytest

from captures.testbed import kubeproxy_nftables
from captures.testbed.cluster import NODES, ROUND_2, ROUND_3, Port, Service

MASTER = NODES[0]


def chains(text):
    return {
        name: [line.strip() for line in body.splitlines()]
        for name, body in re.findall(r"\tchain (\S+) \{\n(.*?)\n?\t\}", text, re.DOTALL)
    }


def elements(text, name):
    match = re.search(rf"\t(?:set|map) {name} \{{\n(.*?)\n\t\}}", text, re.DOTALL)
    listed = re.search(r"elements = \{ (.*) \}", match[1])
    return listed[1].split(", ") if listed else []


def test_names_are_those_of_kube_proxy_s_own_comments():
    # pkg/proxy/nftables/proxier.go, servicePortChainNameBase and its neighbour
    assert kubeproxy_nftables.hashed("ns1/svc1/tcp/p80") == "ULMVA6XW-ns1/svc1/tcp/p80"
    endpoint = "ns1/svc1/tcp/p80__10.180.0.1/80"
    assert kubeproxy_nftables.hashed(endpoint) == f"5OJB2KTY-{endpoint}"


@pytest.mark.parametrize("cluster", [ROUND_2, ROUND_3], ids=["round 2", "round 3"])
def test_every_address_leads_to_its_service_s_endpoints(cluster):
    text = kubeproxy_nftables.ruleset(cluster, MASTER, "IPv4")
    found = chains(text)
    verdicts = dict(e.split(" : goto ") for e in elements(text, "service-ips"))
    verdicts |= dict(e.split(" : goto ") for e in elements(text, "service-nodeports"))
    for service in cluster.services:
        for port in service.ports:
            keys = [f"{service.cluster_ip} . {port.protocol} . {port.port}"]
            if port.node_port:
                keys.append(f"{port.protocol} . {port.node_port}")
            if service.load_balancer_ip:
                address = service.load_balancer_ip
                keys.append(f"{address} . {port.protocol} . {port.port}")
            expected = {str(e) for e in cluster.endpoints(service, port)}
            for key in keys:
                chain = verdicts.pop(key)
                if chain.startswith("external-"):
                    mark, chain = found[chain]
                    assert mark == "jump mark-for-masquerade"
                    chain = chain.removeprefix("goto ")
                choice = found[chain][-1]
                assert f"numgen random mod {len(expected)} vmap" in choice
                targets = re.findall(r"goto (endpoint-\S+?)[,\s]", choice)
                dnat = {found[t][-1].rpartition(" dnat to ")[2] for t in targets}
                assert dnat == expected
    assert not verdicts


def test_a_hairpin_is_masqueraded():
    found = chains(kubeproxy_nftables.ruleset(ROUND_3, MASTER, "IPv4"))
    endpoints = {name: body for name, body in found.items() if "endpoint-" in name[:9]}
    assert endpoints
    for name, body in endpoints.items():
        address = name.rpartition("__")[2].partition("/")[0]
        assert body[0] == f"ip saddr {address} jump mark-for-masquerade"


def test_local_policy_without_local_endpoint_drops_strangers():
    service = Service(
        "here",
        "10.152.183.77",
        (Port(80, 80, node_port=30777),),
        {"k8s-app": "kube-dns"},  # none on the master
        type="NodePort",
        external_policy="Local",
    )
    cluster = ROUND_3.with_service(service)
    text = kubeproxy_nftables.ruleset(cluster, MASTER, "IPv4")
    assert elements(text, "no-endpoint-nodeports") == ["tcp . 30777 : drop"]
    text = kubeproxy_nftables.ruleset(cluster, NODES[1], "IPv4")
    assert elements(text, "no-endpoint-nodeports") == []
    assert any(name.startswith("local-") for name in chains(text))


def test_a_resync_replaces_the_table_as_a_whole():
    text = kubeproxy_nftables.ruleset(ROUND_3, MASTER, "IPv4")
    assert text.splitlines()[:2] == [
        "table ip kube-proxy {}",
        "delete table ip kube-proxy",
    ]


def test_ipv6_has_a_table_of_its_own():
    dual = replace(ROUND_3, ipv6=True)
    text = kubeproxy_nftables.ruleset(dual, MASTER, "IPv6")
    assert "table ip6 kube-proxy {" in text
    assert "fd00:10:152:183::82 . tcp . 8080" in text
    assert "dnat to [fd00:10:1:30::13]:80" in text
    assert not re.search(r"\bip saddr|10\.152\.", text)
