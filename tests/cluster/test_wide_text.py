"""Tables of kubectl, wide or collapsed, with and without their heading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.cluster import Cluster, ServicePort

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Load = Callable[..., Cluster]

PODS = "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES"
SERVICES = "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR"


def only(things: tuple[Any, ...]) -> Any:
    (thing,) = things
    return thing


def remarks(cluster: Cluster) -> list[tuple[int, str]]:
    return [
        (remark.line, remark.text)
        for source in cluster.sources
        for remark in source.remarks
    ]


@given(gaps=st.lists(st.integers(1, 12), min_size=200, max_size=200))
def test_widths_of_columns_do_not_matter(
    tmp_path: Path, recorded_files: Path, gaps: list[int]
) -> None:
    for name in ("node-wide.txt", "pod-all-wide.txt", "svc-wide.txt"):
        lines = []
        for line in (recorded_files / name).read_text().splitlines():
            words = line.split()
            spaced = zip(words, gaps, strict=False)
            lines.append("".join(f"{word}{' ' * gap}" for word, gap in spaced))
        (tmp_path / name).write_text("\n".join(lines))
    names = ("node-wide.txt", "pod-all-wide.txt", "svc-wide.txt")
    respaced = Cluster.load(tmp_path / name for name in names)
    assert respaced == Cluster.load(recorded_files / name for name in names)
    assert remarks(respaced) == []


@pytest.mark.parametrize(
    "restarts", ["0", "1 (5m ago)", "12 (3d3h ago)", "2   (11m   ago)"]
)
@pytest.mark.parametrize("age", ["8s", "3m45s", "166m", "3d3h", "2y117d", "<invalid>"])
def test_restarts_and_ages_of_all_kinds(load: Load, restarts: str, age: str) -> None:
    row = f"web-0 1/1 Running {restarts} {age} 10.1.0.9 node-a <none> 1/1"
    pod = only(load(f"{PODS}\n{row}\n").pods)
    assert (pod.name, pod.ips, pod.node) == ("web-0", ("10.1.0.9",), "node-a")


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("Running", "Running"),
        ("Completed", "Succeeded"),
        ("Error", "Failed"),
        ("Evicted", "Failed"),
        ("CrashLoopBackOff", "Running"),
        ("Terminating", "Running"),
        ("ContainerCreating", "Pending"),
        ("Init:0/1", "Pending"),
        ("Init:CrashLoopBackOff", "Pending"),
        ("SomethingNew", "Unknown"),
    ],
)
def test_the_status_column_tells_the_phase(load: Load, status: str, phase: str) -> None:
    pod = only(load(f"web 0/1 {status} 0 1m <none> <none> <none> <none>").pods)
    assert pod.phase == phase
    assert pod.ips == ()
    assert pod.node is None


def test_the_namespace_column_is_found_without_a_heading(load: Load) -> None:
    pod = only(
        load("kube-system coredns-x 1/1 Running 0 1m 10.1.0.9 n <none> <none>").pods
    )
    assert (pod.namespace, pod.name) == ("kube-system", "coredns-x")


@pytest.mark.parametrize(
    "option", ["-n prod", "--namespace prod", "--namespace=prod", "-nprod"]
)
def test_the_command_tells_the_namespace(load: Load, option: str) -> None:
    text = f"root@a:~# kubectl get pod {option} -o wide\nweb 1/1 Running 0 1m\n"
    assert only(load(text).pods).namespace == "prod"


@pytest.mark.parametrize(
    "prompt",
    [
        "root@k8s-master:~/yaml# ",
        "[root@k8s-master ~]# ",
        "ubuntu@ip-10-0-0-1:~$ ",
        "$ ",
        "k8s-master:~ # ",
        "bash-5.1$ sudo ",
        "PS C:\\Users\\me> ",
        "~ % microk8s ",
    ],
)
def test_prompts_of_all_kinds_are_no_rows(load: Load, prompt: str) -> None:
    cluster = load(
        f"{prompt}kubectl get pod\nweb 1/1 Running 0 1m\n{prompt}kubectl get po"
    )
    assert only(cluster.pods).name == "web"
    assert remarks(cluster) == []


def test_kubectl_get_all(load: Load) -> None:
    cluster = load(
        """\
NAME                 READY   STATUS    RESTARTS        AGE   IP         NODE
pod/nginx-ds-6nw9w   1/1     Running   1 (3h ago)      4h    10.1.0.9   node-a

NAME                 TYPE        CLUSTER-IP      EXTERNAL-IP   PORT(S)   AGE   SELECTOR
service/kubernetes   ClusterIP   10.152.183.1    <none>        443/TCP   4h    <none>

NAME                     DESIRED  CURRENT  READY  UP-TO-DATE  AVAILABLE  AGE
daemonset.apps/nginx-ds  4        4        4      4           4          4h

NAME                  READY   UP-TO-DATE   AVAILABLE   AGE
deployment.apps/web   1/1     1            1           4h
"""
    )
    assert only(cluster.pods).name == "nginx-ds-6nw9w"
    assert only(cluster.services).name == "kubernetes"
    assert [(source.kind, source.objects) for source in cluster.sources] == [
        ("pods (text)", 1),
        ("services (text)", 1),
        ("daemon sets (text)", 1),
        ("deployments (text)", 1),
    ]
    assert remarks(cluster) == []


def test_labels_that_are_shown_are_kept(load: Load) -> None:
    cluster = load(
        f"{PODS} LABELS\n"
        "a 1/1 Running 0 1m 10.1.0.9 n <none> <none> name=nginx,tier=web\n"
        "b 1/1 Running 0 1m 10.1.0.8 n <none> <none> <none>\n"
    )
    assert [pod.labels for pod in cluster.pods] == [
        (("name", "nginx"), ("tier", "web")),
        (),
    ]


def test_services_of_all_types(load: Load) -> None:
    cluster = load(
        f"""\
{SERVICES}
dns ClusterIP 10.0.0.10 <none> 53/UDP,53/TCP,9153/TCP 3d k8s-app=kube-dns
headless ClusterIP None <none> 9042/TCP 3d app=db
outside ExternalName <none> db.example.com <none> 3d <none>
lb LoadBalancer 10.0.0.11 192.0.2.7,2001:DB8::7 80:30080/SCTP 3d a=b,c=d
aws LoadBalancer 10.0.0.12 abc.elb.amazonaws.com 80:30081/TCP 3d <none>
cut LoadBalancer 10.0.0.13 192.0.2.1,192... 80:30082/TCP 3d <none>
"""
    )
    services = {service.name: service for service in cluster.services}
    assert services["dns"].ports == (
        ServicePort("udp", 53),
        ServicePort("tcp", 53),
        ServicePort("tcp", 9153),
    )
    assert services["headless"].headless
    assert services["outside"].external_name == "db.example.com"
    assert not services["outside"].headless
    assert services["lb"].external_ips == ("192.0.2.7", "2001:db8::7")
    assert services["lb"].ports == (ServicePort("sctp", 80, node_port=30080),)
    assert services["lb"].selector == (("a", "b"), ("c", "d"))
    assert services["aws"].external_ips == ()
    assert services["cut"].external_ips == ("192.0.2.1",)
    assert [line for line, _ in remarks(cluster)] == [7]


def test_endpoints_get_their_protocol_from_the_service(load: Load) -> None:
    cluster = load(
        """\
NAMESPACE NAME ENDPOINTS AGE
default dns 10.1.0.3:53,10.1.0.3:53,10.1.0.3:9153 3d
default empty <none> 3d
default six [fd00::3]:80 3d
default many 10.1.0.3:80,10.1.0.4:80,10.1.0.5:80 + 1 more... 3d
""",
        """\
NAMESPACE NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE
default dns ClusterIP 10.0.0.10 <none> 53/UDP,53/TCP,9153/TCP 3d
default empty ClusterIP 10.0.0.11 <none> 80/TCP 3d
default many ClusterIP 10.0.0.12 <none> 80/TCP 3d
default six ClusterIP fd00:0:0:1::13 <none> 80/TCP 3d
""",
    )
    dns, empty, many, six = cluster.services
    assert [
        (item.address, item.port, item.protocol)
        for item in cluster.endpoints_of(dns) or ()
    ] == [
        ("10.1.0.3", 53, "tcp"),
        ("10.1.0.3", 53, "udp"),
        ("10.1.0.3", 9153, "tcp"),
    ]
    assert cluster.endpoints_of(empty) == ()
    assert cluster.endpoints_of(many) is None, "kubectl left one out"
    assert [item.address for item in cluster.endpoints_of(six) or ()] == ["fd00::3"]
    assert [line for line, _ in remarks(cluster)] == [5]


@pytest.mark.parametrize(
    ("header", "row", "kind"),
    [
        (
            "NAME ADDRESSTYPE PORTS ENDPOINTS AGE",
            "x IPv4 80 10.1.0.3 3d",
            "endpoint slices",
        ),
        ("NAME DESIRED CURRENT READY AGE", "x 1 1 1 3d", "replica sets"),
        ("NAME READY AGE", "x 1/1 3d", "stateful sets"),
        ("NAME COMPLETIONS DURATION AGE", "x 1/1 5s 3d", "jobs"),
        ("NAME SCHEDULE SUSPEND ACTIVE", "x * * * False 0", "cron jobs"),
        ("NAME DATA AGE", "x 1 3d", "table of another kind"),
    ],
)
def test_tables_that_tell_nothing_yet_are_recognised(
    load: Load, header: str, row: str, kind: str
) -> None:
    source = only(load(f"{header}\n{row}\n").sources)
    assert (source.kind, source.objects, source.used) == (f"{kind} (text)", 1, False)


def test_junk_between_rows_is_reported_with_its_line(load: Load) -> None:
    cluster = load(
        f"""\
{PODS}
a 1/1 Running 0 1m 10.1.0.9 n <none> <none>
error: the server was busy
b 1/1 Running 0 1m 10.1.0.300 n <none> <none>
c 1/1 Running 0 1m 10.1.0.8 n <none> <none>
"""
    )
    assert [pod.name for pod in cluster.pods] == ["a", "c"]
    assert remarks(cluster) == [
        (3, "error: the server was busy"),
        (4, "b 1/1 Running 0 1m 10.1.0.300 n <none> <none>"),
    ]
    (source,) = cluster.sources
    assert source.remarks[1].reason == "'10.1.0.300' is not an IP address"


@pytest.mark.parametrize(
    "ports", ["0/TCP", "65536/TCP", "80:99999/TCP", "80/ICMP", "http/TCP", "80"]
)
def test_a_service_with_an_impossible_port_is_reported(load: Load, ports: str) -> None:
    cluster = load(f"{SERVICES}\nx ClusterIP 10.0.0.1 <none> {ports} 3d <none>\n")
    assert cluster.services == ()
    assert [line for line, _ in remarks(cluster)] == [2]


def test_nodes_have_no_namespace(load: Load) -> None:
    cluster = load("default node-a Ready <none> 3d v1.26.4 192.0.2.1 <none> Linux\n")
    assert cluster.nodes == ()
    assert [line for line, _ in remarks(cluster)] == [1]


def test_prose_is_one_remark(load: Load) -> None:
    source = only(load("It all began\n\nwhen the pager\nrang.\n").sources)
    assert (source.kind, source.used) == ("not recognised", False)
    assert [(remark.line, remark.lines) for remark in source.remarks] == [(1, 4)]


@given(junk=st.lists(st.text(st.characters(exclude_characters="\0")), max_size=8))
def test_any_text_is_taken_apart(tmp_path: Path, junk: list[str]) -> None:
    row = "a 1/1 Running 0 1m 10.1.0.9 n <none> <none>"
    # Two lines in front: text that starts as JSON or YAML must go on so.
    text = "\n".join([row, "", *junk, "root@n:~# kubectl get po", row])
    (tmp_path / "junk").write_text(text, errors="replace")
    assert "a" in {pod.name for pod in Cluster.load([tmp_path / "junk"]).pods}
