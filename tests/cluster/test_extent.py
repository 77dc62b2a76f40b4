"""What was told in full is known by what every cluster has, never assumed."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.cluster import Cluster, Extent
from tests.cluster.objects import (
    a_list,
    a_node,
    a_pod,
    a_service,
    a_slice,
    what_every_cluster_has,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[..., Cluster]

RECORDINGS = Path(__file__).parents[2] / "captures" / "cluster"
BOTH = frozenset({4, 6})
IPV4 = frozenset({4})
NONE: frozenset[int] = frozenset()
NODES = {"node-a": "192.0.2.1", "node-b": "192.0.2.2"}
EVERYWHERE = [
    *what_every_cluster_has(**NODES),
    *(a_node(name, address) for name, address in NODES.items()),
    a_service("web", 80, clusterIP="10.152.183.1"),
    a_slice("web", ("10.1.0.9", 80)),
    a_pod("web-1", "10.1.0.9"),
]


def in_full(**changes: Any) -> Extent:
    return Extent(**{"lists": BOTH, "pods": BOTH, "nodes": BOTH, **changes})


def extent_of(cluster: Cluster) -> Extent:
    """Give the extent but for endpoints."""
    told = cluster.extent
    return replace(told, endpoints=frozenset())


def test_lists_of_all_namespaces_are_whole(load: Load) -> None:
    assert extent_of(load(a_list(*EVERYWHERE))) == in_full()


def test_objects_of_no_list_may_be_some_of_many(load: Load) -> None:
    assert load(*EVERYWHERE).extent == Extent()


def test_a_list_in_pieces_is_not_whole(load: Load) -> None:
    listing = a_list(*EVERYWHERE)
    listing["metadata"] = {"continue": "eyJ2IjoibWV0YS5rOHMuaW8vdjEi"}
    assert load(listing).extent == Extent()


def test_a_list_of_one_namespace_is_not_of_all(load: Load) -> None:
    items = [
        item
        for item in EVERYWHERE
        if item["metadata"].get("namespace") in (None, "default")
    ]
    assert extent_of(load(a_list(*items))) == in_full(lists=NONE, pods=NONE)


def without(kind: str, name: str) -> list[dict[str, Any]]:
    return [
        item
        for item in EVERYWHERE
        if (item["kind"], item["metadata"]["name"]) != (kind, name)
    ]


def test_without_the_api_server_s_service_something_is_missing(load: Load) -> None:
    cluster = load(a_list(*without("Service", "kubernetes")))
    assert extent_of(cluster) == in_full(lists=NONE)


def test_an_endpoint_of_an_unlisted_service_means_that_there_are_others(
    load: Load,
) -> None:
    assert load(a_list(*without("Service", "web"))).extent.services == NONE


def test_services_alone_may_have_been_filtered(load: Load) -> None:
    services = [item for item in EVERYWHERE if item["kind"] == "Service"]
    assert load(a_list(*services)).extent == Extent()


def test_a_pod_on_an_unlisted_node_means_that_there_are_others(load: Load) -> None:
    cluster = load(a_list(*EVERYWHERE, a_pod("web-2", "10.1.3.9", nodeName="node-c")))
    assert extent_of(cluster) == in_full(nodes=NONE)


def test_pods_of_one_of_several_nodes_are_not_all(load: Load) -> None:
    items = without("Pod", "kube-proxy-1")
    assert extent_of(load(a_list(*items))) == in_full(pods=NONE)


def test_pods_with_a_label_in_common_may_have_been_selected_by_it(load: Load) -> None:
    items = copy.deepcopy(EVERYWHERE)
    for item in items:
        if item["kind"] == "Pod":
            item["metadata"]["labels"] = {"team": "shop"}
    assert load(a_list(*items)).extent.pods == NONE


def test_what_was_inferred_is_never_all(load: Load) -> None:
    items = copy.deepcopy(EVERYWHERE)
    for item in items:
        item["metadata"]["annotations"] = {"inferred": "true"}
    assert load(a_list(*items)).extent == Extent()


TABLES = {
    "services": """\
NAMESPACE NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR
default kubernetes ClusterIP 10.152.183.1 <none> 443/TCP 3d <none>
default web LoadBalancer 10.152.183.50 abc.elb.example.com 80:30080/TCP 3d app=web
kube-system dns ClusterIP 10.152.183.10 <none> 53/UDP 3d k8s-app=dns
""",
    "endpoints": """\
NAMESPACE NAME ENDPOINTS AGE
default kubernetes 192.0.2.1:6443 3d
default web 10.1.0.9:80 3d
kube-system dns 10.1.0.8:53 3d
""",
    "pods": """\
NAMESPACE NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES
default web-1 1/1 Running 0 1m 10.1.0.9 node-a <none> <none>
kube-system dns-1 1/1 Running 0 1m 10.1.0.8 node-b <none> <none>
""",
    "nodes": """\
NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION RUNTIME
node-a Ready master 3d v1.30.1 192.0.2.1 <none> Debian GNU/Linux 12 6.1.0 cri://1
node-b Ready <none> 3d v1.30.1 192.0.2.2 <none> Debian GNU/Linux 12 6.1.0 cri://1
""",
}


def test_tables_show_addresses_of_one_ip_version(load: Load) -> None:
    cluster = load(**TABLES)
    assert extent_of(cluster) == Extent(lists=IPV4, pods=IPV4, nodes=IPV4)
    assert cluster.extent.endpoints == {
        ("default", "kubernetes", 4),
        ("default", "web", 4),
        ("kube-system", "dns", 4),
    }


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("services", "NAMESPACE NAME TYPE", "NAME TYPE"),
        ("services", TABLES["services"].splitlines()[0], ""),
        ("services", "10.152.183.10 ", "fd00::10 "),
        ("services", "abc.elb.example.com", "192.0.2.3..."),
        (
            "services",
            "NAMESPACE NAME",
            "a@b:~$ kubectl get svc -A -l x=y\nNAMESPACE NAME",
        ),
        ("services", "NAMESPACE NAME", "$ kubectl get svc -A | head\nNAMESPACE NAME"),
        ("endpoints", "default web 10.1.0.9:80 3d", "default web2 10.1.0.9:80 3d"),
        ("pods", "10.1.0.9 node-a <none> <none>", ""),
        ("pods", "node-b", "node-a"),
        ("nodes", "192.0.2.2 <none> Debian GNU/Linux 12 6.1.0 cri://1", ""),
    ],
)
def test_a_table_that_lacks_something_is_not_whole(
    load: Load, name: str, old: str, new: str
) -> None:
    assert old in TABLES[name]
    told = load(**{**TABLES, name: TABLES[name].replace(old, new)})
    lacking = {"endpoints": "services"}.get(name, name)
    assert getattr(told.extent, lacking) == NONE


def dump(ip: str) -> str:
    return f"""\
# Generated by iptables-save v1.8.9 on Mon Nov 23 16:11:13 2026
*filter
:KUBE-SERVICES - [0:0]
COMMIT
# Completed on Mon Nov 23 16:11:13 2026
# Generated by iptables-save v1.8.9 on Mon Nov 23 16:11:13 2026
*nat
:KUBE-SERVICES - [0:0]
-A KUBE-SERVICES -d {ip} -p tcp -m comment --comment "default/web cluster IP" \
-m tcp --dport 80 -j KUBE-SVC-X
-A KUBE-SVC-X -j KUBE-SEP-1
-A KUBE-SEP-1 -p tcp -j DNAT --to-destination 10.1.0.1:8000
COMMIT
"""


def test_a_whole_dump_has_the_rules_of_all_services(load: Load) -> None:
    told = load(n1__iptables__txt=dump("10.0.0.1/32")).extent
    assert (told.lists, told.rules) == (NONE, IPV4)


@pytest.mark.parametrize("line", ["*nat", "COMMIT", "*filter"])
def test_a_dump_that_was_cut_may_lack_some(load: Load, line: str) -> None:
    told = load(n1__iptables__txt=dump("10.0.0.1/32").replace(f"{line}\n", "")).extent
    assert told.services == NONE


def test_a_virtual_server_of_no_known_service_means_that_there_are_others(
    load: Load,
) -> None:
    listed = "TCP  {} rr\n  -> 10.1.0.9:80  Masq    1      0          0\n"
    known = load(a_list(*EVERYWHERE), n__ipvs__txt=listed.format("10.152.183.1:80"))
    assert known.extent.services == BOTH
    other = load(a_list(*EVERYWHERE), n__ipvs__txt=listed.format("10.152.183.9:80"))
    assert other.extent.services == NONE


@pytest.mark.parametrize("name", ["nodeport", "mixed"])
def test_what_a_recorded_node_s_rules_tell_is_all(name: str) -> None:
    (path,) = (RECORDINGS / name / "cluster").glob("k8s-worker01.iptables-save.txt")
    told = Cluster.load([path]).extent
    assert (told.lists, told.rules) == (NONE, IPV4)


@pytest.mark.parametrize("form", ["json", "txt"])
def test_nftables_tell_all_services_of_both_ip_versions(form: str) -> None:
    folder = RECORDINGS / "dualstack" / "cluster"
    rules = folder / f"k8s-worker01.nft-list-ruleset.{form}"
    told = Cluster.load([rules, folder / "services.json"]).extent
    assert told.services == BOTH
    # Those of services without endpoints do not say whose they are.
    assert Cluster.load([rules]).extent.services == NONE


def test_the_recorded_cluster_was_told_in_full() -> None:
    told = extent_of(Cluster.load([RECORDINGS / "dualstack" / "cluster"]))
    assert told == Extent(BOTH, BOTH, BOTH, BOTH)
