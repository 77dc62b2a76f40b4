"""The rules are those of kube-proxy, as iptables-save printed them elsewhere."""

import re
import shlex
from collections import defaultdict
from dataclasses import replace

import pytest

from captures.testbed import kubeproxy_iptables
from captures.testbed.cluster import ROUND_2, ROUND_3, Port, Service
from tests.testbed.conftest import DATA

SAVED = (DATA / "k8s-master.iptables-save.txt").read_text()

# iptables-save writes marks as value and mask.
MARKS = {
    "--xor-mark 0x4000": "--set-xmark 0x4000/0x0",
    "--or-mark 0x4000": "--set-xmark 0x4000/0x4000",
}


def normalised(rule):
    """Bring a rule into a form that does not depend on the order of its options.

    Every option with its values and its negation; matches that a protocol implies
    (`-m tcp`) stay, as both forms have them.
    """
    words = shlex.split(rule)
    options, current, negated = [], [], False
    for word in words:
        if word == "!":
            negated = True
        elif re.match(r"--?[a-zA-Z]", word):
            current = ["!", word] if negated else [word]
            negated = False
            options.append(current)
        else:
            current.append(word)
    found = []
    for option in options:
        if option[0] == "--probability":
            # The kernel keeps it in 31 bits and prints eleven digits.
            option[1] = f"{float(option[1]):.8f}"
        found.append(tuple(option))
    return frozenset(found)


def tables(text):
    """Read rules of `iptables-save` or for `iptables-restore`: table, chain, rules."""
    for written, saved in MARKS.items():
        text = text.replace(written, saved)
    found = defaultdict(lambda: defaultdict(list))
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A"):
            chain = line.split()[1]
            found[table][chain].append(normalised(line))
    return found


def generated(cluster, node="k8s-master", family="IPv4"):
    return tables("".join(kubeproxy_iptables.restore_inputs(cluster, node, family)))


def rules(cluster, node="k8s-master", family="IPv4"):
    _, nat = kubeproxy_iptables.sync_proxy_rules(cluster, node, family)
    return nat.rules


@pytest.mark.parametrize("table", ["filter", "nat"])
def test_every_rule_of_kube_proxy_is_there_in_its_place(table):
    saved, ours = tables(SAVED)[table], generated(ROUND_2)[table]
    kube = {chain for chain in saved if chain.startswith("KUBE-")}
    assert kube == {chain for chain in ours if chain.startswith("KUBE-")}
    for chain in sorted(kube):
        assert ours[chain] == saved[chain], chain


@pytest.mark.parametrize("table", ["filter", "nat"])
@pytest.mark.parametrize("chain", ["INPUT", "FORWARD", "OUTPUT", "PREROUTING"])
def test_the_built_in_chains_jump_as_kube_proxy_has_them(table, chain):
    saved = [
        rule for rule in tables(SAVED)[table][chain] if "cali-" not in str(sorted(rule))
    ]
    assert generated(ROUND_2)[table][chain] == saved


def test_calico_s_chains_are_those_that_felix_wrote():
    from captures.testbed import calico

    saved, ours = tables(SAVED)["nat"], tables(calico.nat_rules("IPv4"))["nat"]
    chains = {chain for chain in saved if chain.startswith("cali-")}
    assert chains == {chain for chain in ours if chain.startswith("cali-")}
    assert all(ours[chain] == saved[chain] for chain in chains)


def test_chain_names_are_those_of_kube_proxy_s_own_tests():
    # pkg/proxy/iptables/proxier_test.go, TestOverallIPTablesRules
    name = kubeproxy_iptables.chain_hash
    assert name("ns1/svc1:p80", "tcp") == "XPGD46QRK7WJZT7O"
    assert name("ns1/svc1:p80", "tcp", "10.180.0.1:80") == "SXIVWICOYRO3J4NJ"


def test_a_chance_of_one_in_those_left_is_even_for_all():
    (service,) = [s for s in ROUND_2.services if s.name == "clusterip-nginx-ds"]
    base = kubeproxy_iptables.chain_hash("default/clusterip-nginx-ds:nginx", "tcp")
    chances, left = [], 1.0
    for rule in rules(ROUND_2):
        if f"-A KUBE-SVC-{base}" in rule and "->" in rule:
            match = re.search(r"--probability ([\d.]+)", rule)
            chance = float(match[1]) if match else 1.0
            chances.append(left * chance)
            left *= 1 - chance
    assert len(chances) == len(ROUND_2.endpoints(service, service.ports[0]))
    assert chances == pytest.approx([0.25] * 4, abs=1e-9)


def local_service():
    return Service(
        "here",
        "10.152.183.77",
        (Port(80, 80, node_port=30777),),
        {"name": "nginx"},
        type="NodePort",
        external_policy="Local",
    )


def test_a_local_policy_sends_strangers_to_local_endpoints_only():
    written = "\n".join(rules(ROUND_3.with_service(local_service()), "k8s-worker01"))
    base = kubeproxy_iptables.chain_hash("default/here", "tcp")
    local = re.findall(rf"-A KUBE-SVL-{base} .*", written)
    assert len(local) == 1
    assert "-> 10.1.79.75:80" in local[0]
    assert f"-A KUBE-EXT-{base} -j KUBE-SVL-{base}" in written
    assert f"-A KUBE-EXT-{base} -j KUBE-MARK-MASQ" not in written


def test_a_service_without_endpoints_is_refused_and_has_no_chains():
    nobody = replace(local_service(), selector={"name": "nobody"})
    cluster = ROUND_3.with_service(nobody)
    refusals, nat = kubeproxy_iptables.sync_proxy_rules(cluster, "k8s-master", "IPv4")
    refused = [rule for rule in refusals.rules if "default/here" in rule]
    assert len(refused) == 2
    assert all(rule.endswith("-j REJECT") for rule in refused)
    assert not any("default/here" in rule for rule in nat.rules)


def test_affinity_is_looked_up_before_chance_and_remembered():
    sticky = replace(local_service(), external_policy="Cluster", affinity_seconds=10800)
    written = rules(ROUND_3.with_service(sticky))
    base = kubeproxy_iptables.chain_hash("default/here", "tcp")
    choices = [r for r in written if f"-A KUBE-SVC-{base}" in r and "->" in r]
    assert ["--rcheck" in rule for rule in choices] == [True] * 4 + [False] * 4
    dnat = [r for r in written if "default/here" in r and "DNAT" in r]
    assert all("--set" in rule for rule in dnat)


def test_chains_of_endpoints_that_left_are_deleted():
    service = ROUND_3.service("lb-redis-ds")
    unready = replace(service, not_ready=frozenset({"redis-ds-d2ps6"}))
    _, nat = kubeproxy_iptables.restore_inputs(
        ROUND_3.with_service(unready), "k8s-master", "IPv4", ROUND_3
    )
    gone = kubeproxy_iptables.endpoint_chain(
        "default/lb-redis-ds",
        service.ports[0],
        next(e for e in ROUND_3.endpoints(service, service.ports[0]) if ".69." in e.ip),
    )
    assert f"-X {gone}" in nat
    assert nat.count(gone) == 2  # declared, so that it is emptied, and deleted


def test_ipv6_rules_name_ipv6_addresses_only():
    dual = replace(ROUND_3, ipv6=True)
    text = "\n".join(rules(dual, family="IPv6"))
    assert "-d fd00:10:152:183::82/128" in text
    assert "--to-destination [fd00:10:1:31::b]:80" in text
    assert "10.152." not in text
    assert "default/kubernetes" not in text
