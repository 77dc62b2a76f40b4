"""What kube-proxy writes in ipvs mode; the formats are those of ipvsadm(8)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.cluster.ipvsadm import read
from analyzer.cluster.split import split
from tests.cluster.objects import a_node, a_service

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.cluster import Cluster, ProxyRule

    Load = Callable[..., Cluster]

LISTED = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.96.0.20:80 rr persistent 10800
  -> 10.244.1.11:8000             Masq    1      3          0         \n\
  -> 10.244.1.12:8000             Masq    1      0          12        \n\
  -> 10.244.2.13:8000             Masq    0      0          1         \n\
TCP  192.0.2.1:31080 wrr
  -> 10.244.1.11:8000             Masq    1      0          0         \n\
  -> 10.244.1.12:8000             Masq    3      0          0         \n\
UDP  10.96.0.10:53 rr
SCTP [fd00:96::20]:9 wlc
  -> [fd00:1::11]:9000            Masq    1      0          0         \n\
FWM  256 rr
  -> 10.255.0.5:0                 Masq    1      0          0         \n\
"""
SAVED = """\
-A -t 10.96.0.20:80 -s rr -p 10800
-a -t 10.96.0.20:80 -r 10.244.1.11:8000 -m -w 1
-a -t 10.96.0.20:80 -r 10.244.1.12:8000 -m -w 1
-a -t 10.96.0.20:80 -r 10.244.2.13:8000 -m -w 0
-A -t 192.0.2.1:31080 -s wrr
-a -t 192.0.2.1:31080 -r 10.244.1.11:8000 -m -w 1
-a -t 192.0.2.1:31080 -r 10.244.1.12:8000 -m -w 3
-A -u 10.96.0.10:53 -s rr
-A --sctp-service [fd00:96::20]:9 -s wlc
-a --sctp-service [fd00:96::20]:9 -r [fd00:1::11]:9000 -m -w 1
"""


def rules_of(text: str) -> list[ProxyRule]:
    return [
        rule
        for part in split(text)
        for ruleset in read(part, "file").rulesets
        for rule in ruleset.rules
    ]


@pytest.mark.parametrize("text", [LISTED, SAVED], ids=["-Ln", "-Sn"])
def test_virtual_and_real_servers(text: str) -> None:
    told = [
        (
            *(rule.protocol, rule.address, rule.port, rule.scheduler, rule.affinity),
            {item.address: item.probability for item in rule.backends or ()},
        )
        for rule in rules_of(text)
    ]
    assert told == [
        (
            *("tcp", "10.96.0.20", 80, "rr", True),
            {"10.244.1.11": 0.5, "10.244.1.12": 0.5, "10.244.2.13": 0.0},
        ),
        (
            *("tcp", "192.0.2.1", 31080, "wrr", False),
            {"10.244.1.11": 0.25, "10.244.1.12": 0.75},
        ),
        ("udp", "10.96.0.10", 53, "rr", False, {}),
        ("sctp", "fd00:96::20", 9, "wlc", False, {"fd00:1::11": 1.0}),
    ]


def test_the_heading_may_be_missing(load: Load) -> None:
    body = LISTED[LISTED.index("TCP") :]
    cluster = load(f"root@node-a:~# ipvsadm -Ln\n{body}")
    assert [source.remarks for source in cluster.sources] == [()]
    assert {rule.node for rule in cluster.rules} == {"node-a"}
    assert len(cluster.rules) == 4


def test_services_get_their_names_from_kubectl(load: Load) -> None:
    web = a_service(
        "web",
        {"port": 80, "name": "http", "targetPort": 8000, "nodePort": 31080},
        clusterIP="10.96.0.20",
        type="NodePort",
        externalTrafficPolicy="Local",
    )
    cluster = load(web, **{"node-a.ipvs.txt": LISTED})
    named = {
        rule.address: (rule.kind, rule.service, rule.port_name, rule.scope)
        for rule in cluster.rules
    }
    assert named == {
        "10.96.0.20": ("ClusterIP", "web", "http", "cluster"),
        "192.0.2.1": ("NodePort", "web", "http", "local"),
        "10.96.0.10": (None, None, None, "cluster"),
        "fd00:96::20": (None, None, None, "cluster"),
    }
    endpoints = cluster.endpoints_of(cluster.services[0])
    assert endpoints is not None
    assert len(endpoints) == 3


def test_two_services_with_the_port_are_not_guessed_between(load: Load) -> None:
    services = [
        a_service(name, {"port": 80, "nodePort": 31080}, clusterIP=ip, type="NodePort")
        for name, ip in (("web", "10.96.0.20"), ("old", "10.96.0.21"))
    ]
    cluster = load(*services, a_node("node-a", "192.0.2.1"), LISTED)
    (rule,) = (rule for rule in cluster.rules if rule.port == 31080)
    assert (rule.kind, rule.service) == ("NodePort", None)


@pytest.mark.parametrize(
    "line", ["TCP  localhost:30080 rr", "TCP  10.0.0.1:http rr", "TCP  10.0.0.1:0 rr"]
)
def test_names_of_addresses_and_ports_are_reported(load: Load, line: str) -> None:
    heading = LISTED[: LISTED.index("TCP")]
    cluster = load(f"{heading}{line}\n  -> 10.244.1.11:8000  Masq 1 0 0\n")
    (source,) = cluster.sources
    assert [remark.text for remark in source.remarks] == [line]
    assert cluster.rules == ()


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=20))
def test_shares_are_those_of_the_weights(weights: list[int]) -> None:
    lines = [
        f"-a -t 10.0.0.1:80 -r 10.1.0.{i}:80 -m -w {w}" for i, w in enumerate(weights)
    ]
    (rule,) = rules_of("\n".join(["-A -t 10.0.0.1:80 -s wrr", *lines]))
    shares = {item.address: item.probability for item in rule.backends or ()}
    total = sum(weights) or 1
    assert shares == {f"10.1.0.{i}": w / total for i, w in enumerate(weights)}


@given(st.text(st.sampled_from("AaTCUDP-> .:[]0123456789\nrs"), max_size=80))
def test_no_garbage_breaks_it(garbage: str) -> None:
    for line in ("IP Virtual Server version 1", "-A -t 10.0.0.1:80 -s rr"):
        rules_of(f"{line}\n{garbage}\n{re.sub('[0-9]', '9', garbage)}")
