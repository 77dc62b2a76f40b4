"""Interfaces, and whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from analyzer.cluster import Interface
from tests.cluster.objects import a_node

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.cluster import Cluster

    Load = Callable[..., Cluster]

TEXT = """\
2: ens18@if3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP
    link/ether be:24:11:5a:10:30 brd ff:ff:ff:ff:ff:ff link-netns lan
    altname enp0s18
    inet 192.0.2.1/24 brd 192.0.2.255 scope global ens18
       valid_lft forever preferred_lft forever
    inet6 2001:DB8::1/64 scope global
       valid_lft forever preferred_lft forever
11: vxlan.calico: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UNKNOWN
    link/ether 66:d5:cf:d3:6b:7e brd ff:ff:ff:ff:ff:ff
    vxlan id 4096 local 192.0.2.1 dev ens18 srcport 0 0 dstport 4789 nolearning
    inet 10.1.0.64/32 scope global vxlan.calico
"""
ENS18 = (2, "ens18", "be:24:11:5a:10:30", ("192.0.2.1", "2001:db8::1"))
VXLAN = (11, "vxlan.calico", "66:d5:cf:d3:6b:7e", ("10.1.0.64",))


def an_interface(index: Any, name: Any, *addresses: str) -> dict[str, Any]:
    return {
        "ifindex": index,
        "ifname": name,
        "address": "66:d5:cf:d3:6b:7e",
        "addr_info": [{"family": "inet", "local": address} for address in addresses],
    }


def test_text_is_read_with_and_without_indentation(load: Load) -> None:
    flat = "\n".join(line.strip() for line in TEXT.splitlines())
    wanted = (Interface("node-a", *ENS18), Interface("node-a", *VXLAN))
    assert load(node_a__ip__txt=TEXT).interfaces == tuple(
        Interface("node_a", *facts) for facts in (ENS18, VXLAN)
    )
    for text in (TEXT, flat):
        assert load(f"root@node-a:~# ip a\n{text}").interfaces[:2] == wanted


def test_addresses_tell_the_node_before_names_do(load: Load) -> None:
    cluster = load(
        a_node("node-b", "192.0.2.1"), other__ip__txt=f"root@x:~# ip a\n{TEXT}"
    )
    assert cluster.interface_names() == {"node-b": {2: "ens18", 11: "vxlan.calico"}}
    (node,) = cluster.nodes
    assert (node.tunnel_ips, node.vtep_mac) == (("10.1.0.64",), "66:d5:cf:d3:6b:7e")


def test_a_prompt_shows_the_first_label_of_a_nodes_name(load: Load) -> None:
    cluster = load(
        a_node("ip-10-0-0-1.ec2.internal"),
        "[ec2-user@ip-10-0-0-1 ~]$ ip addr\n" + TEXT,
    )
    assert list(cluster.interface_names()) == ["ip-10-0-0-1.ec2.internal"]


def test_the_file_name_starts_with_the_node(load: Load) -> None:
    document = [an_interface(5, "eth0", "198.51.100.1")]
    cluster = load(
        a_list_of_nodes("ip-10-0-0-1.ec2.internal", "ip-10-0-0-1"),
        **{
            "ip-10-0-0-1.ec2.internal.ip-addr.json": document,
            "client.ip-addr.json": document,
        },
    )
    assert list(cluster.interface_names()) == ["client", "ip-10-0-0-1.ec2.internal"]
    assert len(cluster.nodes) == 2, "a client is no node"


def a_list_of_nodes(*names: str) -> dict[str, Any]:
    return {"kind": "List", "items": [a_node(name) for name in names]}


def test_interfaces_of_nobody_are_reported(load: Load) -> None:
    cluster = load(TEXT)
    assert cluster.interfaces == ()
    (source,) = cluster.sources
    assert not source.used
    assert source.remarks[0].text == "2 interfaces"
    assert "NODE.ip-addr.txt" in source.remarks[0].reason


def test_a_host_with_an_overlay_device_is_a_node(load: Load) -> None:
    cluster = load(f"root@node-a:~# ip a\n{TEXT}")
    assert cluster.node_of("10.1.0.64") == "node-a"
    assert cluster.name_of("192.0.2.1") == "node-a"
    assert cluster.name_of("10.1.0.64") == "node-a"


@pytest.mark.parametrize(
    ("name", "is_tunnel", "has_mac"),
    [
        ("vxlan.calico", True, True),
        ("flannel.1", True, True),
        ("tunl0", True, False),
        ("eth0", False, False),
        ("cali05ee3a177a2", False, False),
    ],
)
def test_overlay_devices_are_told_by_name(
    load: Load, name: str, is_tunnel: bool, has_mac: bool
) -> None:
    addresses = ("10.1.0.64", "fe80::1")
    cluster = load(**{"node-a.ip-addr.json": [an_interface(5, name, *addresses)]})
    ends = [(node.tunnel_ips, bool(node.vtep_mac)) for node in cluster.nodes]
    assert ends == ([(("10.1.0.64",), has_mac)] if is_tunnel else [])


@pytest.mark.parametrize(
    "command", ["kubectl exec web -- ip a", "ip netns exec web ip a"]
)
def test_a_command_about_another_host_tells_none(load: Load, command: str) -> None:
    cluster = load(**{"my.notes.txt": f"root@node-a:~# {command}\n{TEXT}"})
    assert cluster.interfaces == ()


@pytest.mark.parametrize(
    "command",
    ["ssh node-b ip a", "ssh -p 22 me@node-b 'sudo ip a'", "docker exec node-b ip a"],
)
def test_a_command_may_say_on_which_host_it_runs(load: Load, command: str) -> None:
    cluster = load(**{"my.notes.txt": f"root@node-a:~# {command}\n{TEXT}"})
    assert {interface.node for interface in cluster.interfaces} == {"node-b"}


def test_junk_ends_the_interfaces(load: Load) -> None:
    cluster = load(
        f"root@node-a:~# ip a\n{TEXT}\nnode-b Ready <none> 1d v1.26.4\nwhat?\n"
    )
    assert len(cluster.interfaces) == 2
    assert [node.name for node in cluster.nodes] == ["node-a", "node-b"]
    remarks = [remark for source in cluster.sources for remark in source.remarks]
    assert [(remark.line, remark.text) for remark in remarks] == [(15, "what?")]


def test_what_cannot_be_used_is_reported(load: Load) -> None:
    document = [
        an_interface("5", "eth0"),
        an_interface(6, None),
        an_interface(7, "eth1", "nonsense"),
    ]
    text = TEXT.replace("192.0.2.1/24", "999.0.2.1/24")
    cluster = load(**{"a.ip-addr.json": document, "b.ip-addr.txt": text})
    reasons = [remark.reason for item in cluster.sources for remark in item.remarks]
    assert reasons == [
        "it has no index and name",
        "it has no index and name",
        "'nonsense' is not an IP address",
        "'999.0.2.1' is not an IP address",
    ]
    assert cluster.interface_names() == {
        "a": {7: "eth1"},
        "b": {2: "ens18", 11: "vxlan.calico"},
    }
